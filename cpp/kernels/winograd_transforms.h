// Blocks of Winograd tiles, transformed between an image and one matrix for each point. The
// transforms along one axis are in winograd_points.h, the block's layout in winograd_tiles.h.
#pragma once

#include "maximum.h"
#include "winograd_tiles.h"

CONVKIT_BEGIN_KERNELS

// A tile's values, one vector of channels at each position.
struct TileView {
  const float* corner;
  std::int64_t row, column;  // floats between neighbours

  F32 at(int i, int j) const { return load(corner + i * row + j * column); }
};

// Rows x Columns positions of an image from (h0, w0) on. What hangs over the image's border, or
// over its channels, comes from a copy padded with zeros.
template <int Rows, int Columns>
inline TileView view_tile(const float* image, std::int64_t h, std::int64_t w, std::int64_t c,
                          std::int64_t h0, std::int64_t w0, std::int64_t channel, float* copy) {
  const float* corner = image + (h0 * w + w0) * c + channel;
  const std::int64_t left = c - channel;
  if (h0 >= 0 && w0 >= 0 && h0 + Rows <= h && w0 + Columns <= w && left >= kLanes)
    return {corner, w * c, c};
  for (int i = 0; i < Rows; ++i) {
    const bool row_inside = h0 + i >= 0 && h0 + i < h;
    for (int j = 0; j < Columns; ++j) {
      const bool inside = row_inside && w0 + j >= 0 && w0 + j < w;
      store(copy + (i * Columns + j) * kLanes,
            inside ? load_part(corner + (i * w + j) * c, left) : zero());
    }
  }
  return {copy, Columns * kLanes, kLanes};
}

// Stores go to one stream a point, more than the hardware follows: each asks for the line that the
// stream needs next, or the stores would wait for the second-level cache one after the other.
inline void store_ahead(float* p, F32 a) {
  __builtin_prefetch(p + kLanes, 1);
  store(p, a);
}

// Rows kPairs[Pair] of the points of B^T x B.
template <int M, int N, int Pair>
inline void input_rows(const TileView& x, const PointRows& rows, std::int64_t c) {
  F32 half[2][N + 2];
  for (int j = 0; j < N + 2; ++j) {
    F32 d[M + 2];
    for (int i = 0; i < M + 2; ++i) d[i] = x.at(i, j);
    input_points<M, Pair>(d, half[0][j], half[1][j]);
  }
  for (int k = 0; k < 1 + kIsWhole<M, Pair>; ++k) {
    F32 t[N + 2];
    transform_input<N>(half[k], t);
    const PointVectors to = PointVectors::of_row(rows, kPairs[Pair][k], c);
    each<N + 2>([&](auto j) CONVKIT_LAMBDA { store_ahead(to[j], t[j]); });
  }
}

// Rows kPairs[Pair] of the points of A dy A^T.
template <int M, int N, int Pair>
inline void gradient_rows(const F32 (&dy)[M][N], const PointRows& rows, std::int64_t c) {
  F32 half[2][N];
  for (int j = 0; j < N; ++j) {
    F32 g[M];
    for (int i = 0; i < M; ++i) g[i] = dy[i][j];
    gradient_points<M, Pair>(g, half[0][j], half[1][j]);
  }
  for (int k = 0; k < 1 + kIsWhole<M, Pair>; ++k) {
    F32 t[N + 2];
    transform_gradient<N>(half[k], t);
    const PointVectors to = PointVectors::of_row(rows, kPairs[Pair][k], c);
    each<N + 2>([&](auto j) CONVKIT_LAMBDA { store_ahead(to[j], t[j]); });
  }
}

// B^T x B of tiles [begin, end) to rows of channels from `first` on.
inline void transform_inputs(const WinogradShape& s, const float* x, std::int64_t first,
                             std::int64_t begin, std::int64_t end, PointRows& rows) {
  float copy[kMaxPoints * kMaxPoints * kLanes];
  each_tile(s, begin, end, [&](const TileAt& at) {
    const float* image = x + at.n * s.h * s.w * s.c;
    with_sizes(at, [&](auto m, auto n) {
      constexpr int M = decltype(m)::value, N = decltype(n)::value;
      for (std::int64_t c = 0; c < rows.channels; c += kLanes) {
        const TileView view = view_tile<M + 2, N + 2>(image, s.h, s.w, s.c, at.oh - s.pad_top,
                                                      at.ow - s.pad_left, first + c, copy);
        each_pair<M>([&](auto pair) CONVKIT_LAMBDA {
          input_rows<M, N, decltype(pair)::value>(view, rows, c);
        });
      }
      rows.advance<M, N>();
    });
  });
}

// Where channel c of a tile's 2 x 2 window (i, j) is in what is pooled.
inline std::int64_t pooled_at(const WinogradShape& s, const TileAt& at, std::int64_t c, int i,
                              int j) {
  const std::int64_t h = at.n * (s.oh / 2) + at.oh / 2 + i, w = at.ow / 2 + j;
  return (h * (s.ow / 2) + w) * s.oc + c;
}

// A tile's gradients from those behind a 2 x 2 max pool: each goes to where its maximum was.
template <int M, int N>
inline void unpool_tile(const WinogradShape& s, const TileAt& at, const float* dy,
                        const std::uint8_t* indices, std::int64_t c, F32 (&g)[M][N]) {
  for (int i = 0; i + 1 < M; i += 2) {
    for (int j = 0; j + 1 < N; j += 2) {
      const std::int64_t from = pooled_at(s, at, c, i / 2, j / 2);
      const F32 pooled = load_part(dy + from, s.oc - c);
      const I32 where = load_indices(indices + from, s.oc - c);
      for (int k = 0; k < 4; ++k)
        g[i + k / 2][j + k % 2] = select(eq_i(where, set1_i(k)), pooled, zero());
    }
  }
}

// A dy A^T of tiles [begin, end) to rows of loc channels. With indices, dy is the gradient behind a
// 2 x 2 max pool: oh and ow are even then, and all tiles of 4 or 2.
inline void transform_gradients(const WinogradShape& s, const float* dy,
                                const std::uint8_t* indices, std::int64_t begin, std::int64_t end,
                                PointRows& rows) {
  float copy[kMaxPoints * kMaxPoints * kLanes];
  each_tile(s, begin, end, [&](const TileAt& at) {
    const float* image = dy + at.n * s.oh * s.ow * s.oc;
    with_sizes(at, [&](auto m, auto n) {
      constexpr int M = decltype(m)::value, N = decltype(n)::value;
      for (std::int64_t c = 0; c < s.loc; c += kLanes) {
        F32 g[M][N];
        if (M % 2 == 0 && N % 2 == 0 && indices) {
          unpool_tile(s, at, dy, indices, c, g);
        } else {
          const TileView view = view_tile<M, N>(image, s.oh, s.ow, s.oc, at.oh, at.ow, c, copy);
          for (int i = 0; i < M; ++i)
            for (int j = 0; j < N; ++j) g[i][j] = view.at(i, j);
        }
        each_pair<M>([&](auto pair) CONVKIT_LAMBDA {
          gradient_rows<M, N, decltype(pair)::value>(g, rows, c);
        });
      }
      rows.advance<M, N>();
    });
  });
}

// Zeros where no tile reaches: to lc channels of images [begin, end) from `first` on.
inline void clear_rest(const WinogradShape& s, float* dx, std::int64_t first, std::int64_t begin,
                       std::int64_t end) {
  const std::int64_t left = s.c - first < s.lc ? s.c - first : s.lc;
  const std::int64_t h_end = s.oh + 2 - s.pad_top, w_end = s.ow + 2 - s.pad_left;
  if (s.add_to_dx || (h_end >= s.h && w_end >= s.w)) return;
  for (std::int64_t n = begin; n < end; ++n) {
    for (std::int64_t h = 0; h < s.h; ++h) {
      for (std::int64_t w = h < h_end ? w_end : 0; w < s.w; ++w) {
        float* p = dx + ((n * s.h + h) * s.w + w) * s.c + first;
        for (std::int64_t c = 0; c < left; c += kLanes) store_part(p + c, zero(), left - c);
      }
    }
  }
}

// Where a tile's input gradients go: what no tile before it reached is written, unless it is to be
// added to, the rest added to.
struct GradientView {
  float* corner;
  std::int64_t row, column;          // floats between neighbours
  std::int64_t top, bottom;          // rows that are inside the image
  std::int64_t left_end, right_end;  // columns
  std::int64_t channels;             // from the corner's on
  bool first_row, first_column;      // of tiles
  bool add_to_all;

  // Whether all of the M + 2 by N + 2 gradients of an M x N tile are inside.
  template <int M, int N>
  bool inside() const {
    return top <= 0 && bottom >= M + 2 && left_end <= 0 && right_end >= N + 2 && channels >= kLanes;
  }

  template <int Columns>
  CONVKIT_INLINE void add_inside(int i, const F32 (&d)[Columns]) const {
    float* p = corner + i * row;
    const bool new_row = !add_to_all && (i >= 2 || first_row);
    each<Columns>([&](auto j) CONVKIT_LAMBDA {
      float* at = p + j * column;
      const bool is_new = new_row && (j >= 2 || first_column);
      store(at, is_new ? d[j] : add(load(at), d[j]));
    });
  }

  template <int Columns>
  void add_row(int i, const F32 (&d)[Columns]) const {
    if (i < top || i >= bottom) return;
    float* p = corner + i * row;
    const bool new_row = !add_to_all && (i >= 2 || first_row), whole = channels >= kLanes;
    for (int j = 0; j < Columns; ++j, p += column) {
      if (j < left_end || j >= right_end) continue;
      const bool add_to = !(new_row && (j >= 2 || first_column));
      if (whole) {
        store(p, add_to ? add(load(p), d[j]) : d[j]);
      } else {
        store_part(p, add_to ? add(load_part(p, channels), d[j]) : d[j], channels);
      }
    }
  }
};

// Rows kInputPairs[Pair] of B v B^T.
template <int M, int N, int Pair, bool Inside>
inline void add_gradient_rows(const PointRows& rows, std::int64_t c, const GradientView& to) {
  F32 half[2][N + 2];
  for (int j = 0; j < N + 2; ++j) {
    const PointVectors from = PointVectors::of_column(rows, j, c);
    F32 v[M + 2];
    for (int i = 0; i < M + 2; ++i) v[i] = load(from[i]);
    input_gradients<M, Pair>(v, half[0][j], half[1][j]);
  }
  for (int k = 0; k < 1 + kIsWhole<M, Pair>; ++k) {
    F32 d[N + 2];
    transform_input_gradient<N>(half[k], d);
    if constexpr (Inside) {
      to.add_inside(kInputPairs<M>[Pair][k], d);
    } else {
      to.add_row(kInputPairs<M>[Pair][k], d);
    }
  }
}

template <int M, int N, bool Inside>
inline void add_gradients(const PointRows& rows, std::int64_t c, const GradientView& to) {
  each_pair<M>([&](auto pair) CONVKIT_LAMBDA {
    add_gradient_rows<M, N, decltype(pair)::value, Inside>(rows, c, to);
  });
}

// dx of tiles [begin, end), for the rows' channels from `first` on: tiles overlap, and B v B^T is
// written where an image's tiles come first, or added there, too. All tiles of an image in one
// call.
inline void add_input_gradients(const WinogradShape& s, PointRows& rows, float* dx,
                                std::int64_t first, std::int64_t begin, std::int64_t end) {
  each_tile(s, begin, end, [&](const TileAt& at) {
    const std::int64_t h0 = at.oh - s.pad_top, w0 = at.ow - s.pad_left;
    float* corner = dx + ((at.n * s.h + h0) * s.w + w0) * s.c + first;
    with_sizes(at, [&](auto m, auto n) {
      constexpr int M = decltype(m)::value, N = decltype(n)::value;
      for (std::int64_t c = 0; c < rows.channels; c += kLanes) {
        const GradientView to = {corner + c, s.w * s.c,  s.c,        -h0,
                                 s.h - h0,   -w0,        s.w - w0,   s.c - first - c,
                                 at.oh == 0, at.ow == 0, s.add_to_dx};
        if (to.template inside<M, N>()) {
          add_gradients<M, N, true>(rows, c, to);
        } else {
          add_gradients<M, N, false>(rows, c, to);
        }
      }
      rows.advance<M, N>();
    });
  });
}

// Where channel c of a tile's first output is in y.
inline std::int64_t output_at(const WinogradShape& s, const TileAt& at, std::int64_t c) {
  return ((at.n * s.oh + at.oh) * s.ow + at.ow) * s.oc + c;
}

// A tile's outputs to y.
template <int M, int N>
inline void store_outputs(const WinogradShape& s, const F32 (&a)[M][N], const TileAt& at,
                          std::int64_t c, float* y) {
  float* corner = y + output_at(s, at, c);
  for (int i = 0; i < M; ++i)
    for (int j = 0; j < N; ++j) store_part(corner + (i * s.ow + j) * s.oc, a[i][j], s.oc - c);
}

// The maximum of each 2 x 2 window of a tile's outputs to y, and its position to indices.
template <int M, int N>
inline void store_pooled(const WinogradShape& s, const F32 (&a)[M][N], const TileAt& at,
                         std::int64_t c, float* y, std::uint8_t* indices) {
  for (int i = 0; i + 1 < M; i += 2) {
    for (int j = 0; j + 1 < N; j += 2) {
      F32 best = a[i][j];
      I32 where = set1_i(0);
      for (int k = 1; k < 4; ++k) {
        const F32 v = a[i + k / 2][j + k % 2];
        const Mask m = takes_over(v, best);
        best = select(m, v, best);
        where = select_i(m, set1_i(k), where);
      }
      const std::int64_t to = pooled_at(s, at, c, i / 2, j / 2);
      store_part(y + to, best, s.oc - c);
      store_indices(indices + to, where, s.oc - c);
    }
  }
}

// A^T m A of tiles [begin, end) to y, for the rows' channels from `first` on, with bias, what is
// added and ReLU; with indices, pooled 2 x 2.
inline void transform_outputs(const WinogradShape& s, PointRows& rows, const float* bias,
                              const float* residual, bool relu, float* y, std::uint8_t* indices,
                              std::int64_t first, std::int64_t begin, std::int64_t end) {
  each_tile(s, begin, end, [&](const TileAt& at) {
    with_sizes(at, [&](auto m, auto n) {
      constexpr int M = decltype(m)::value, N = decltype(n)::value;
      for (std::int64_t c = 0; c < rows.channels; c += kLanes) {
        F32 half[M + 2][N];
        for (int i = 0; i < M + 2; ++i) {
          const PointVectors from = PointVectors::of_row(rows, i, c);
          F32 p[N + 2];
          for (int j = 0; j < N + 2; ++j) p[j] = load(from[j]);
          transform_output<N>(p, half[i]);
        }
        const F32 b = bias ? load_part(bias + first + c, s.oc - first - c) : zero();
        const float* added = residual ? residual + output_at(s, at, first + c) : nullptr;
        F32 outputs[M][N];
        for (int j = 0; j < N; ++j) {
          F32 p[M + 2], a[M];
          for (int i = 0; i < M + 2; ++i) p[i] = half[i][j];
          transform_output<M>(p, a);
          for (int i = 0; i < M; ++i) {
            F32 v = fma(set1(kPowersOfH[i + j]), a[i], b);
            if (added) v = add(v, load_part(added + (i * s.ow + j) * s.oc, s.oc - first - c));
            outputs[i][j] = relu ? max(zero(), v) : v;
          }
        }
        if (indices) {
          store_pooled<M, N>(s, outputs, at, first + c, y, indices);
        } else {
          store_outputs<M, N>(s, outputs, at, first + c, y);
        }
      }
      rows.advance<M, N>();
    });
  });
}

CONVKIT_END_KERNELS
