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

// Some rows and columns of an image from (h0, w0) on. What hangs over the image's border, or over
// its channels, comes from a copy padded with zeros.
inline TileView view_tile(int rows, int columns, const float* image, std::int64_t h, std::int64_t w,
                          std::int64_t c, std::int64_t h0, std::int64_t w0, std::int64_t channel,
                          float* copy) {
  const float* corner = image + (h0 * w + w0) * c + channel;
  const std::int64_t left = c - channel;
  if (h0 >= 0 && w0 >= 0 && h0 + rows <= h && w0 + columns <= w && left >= kLanes)
    return {corner, w * c, c};
  for (int i = 0; i < rows; ++i) {
    const bool row_inside = h0 + i >= 0 && h0 + i < h;
    for (int j = 0; j < columns; ++j) {
      const bool inside = row_inside && w0 + j >= 0 && w0 + j < w;
      store(copy + (i * kMaxPoints + j) * kLanes,
            inside ? load_part(corner + (i * w + j) * c, left) : zero());
    }
  }
  return {copy, kMaxPoints * kLanes, kLanes};
}

// A tile between the transforms along its two axes.
using HalfTile = F32[kMaxPoints][kMaxPoints];

// Stores go to one stream a point, more than the hardware follows: each asks for the line that the
// stream needs next, or the stores would wait for the second-level cache one after the other.
inline void store_ahead(float* p, F32 a) {
  __builtin_prefetch(p + kLanes, 1);
  store(p, a);
}

// Column j of B^T x, for tiles of M rows of outputs.
template <int M, class Half>
CONVKIT_INLINE void inputs_down(const TileView& x, int j, Half& half) {
  F32 d[M + 2], t[M + 2];
  each<M + 2>([&](auto i) CONVKIT_LAMBDA { d[i] = x.at(i, j); });
  transform_input<M>(d, t);
  each<M + 2>([&](auto i) CONVKIT_LAMBDA { half[i][j] = t[i]; });
}

// Column j of A dy, for tiles of M rows.
template <int M, class Half>
CONVKIT_INLINE void gradients_down(const TileView& dy, int j, Half& half) {
  F32 g[M], t[M + 2];
  each<M>([&](auto i) CONVKIT_LAMBDA { g[i] = dy.at(i, j); });
  transform_gradient<M>(g, t);
  each<M + 2>([&](auto i) CONVKIT_LAMBDA { half[i][j] = t[i]; });
}

// One of a tile's rows of N + 2 points to where they are gathered.
template <int N>
CONVKIT_INLINE void store_points(const F32 (&t)[N + 2], const PointRows& rows, int i,
                                 std::int64_t c) {
  const PointVectors to = PointVectors::of_row(rows, i, c);
  each<N + 2>([&](auto j) CONVKIT_LAMBDA { store_ahead(to[j], t[j]); });
}

// Row i of half times B, for tiles of N columns of outputs.
template <int N, class Half>
CONVKIT_INLINE void inputs_across(const Half& half, int i, const PointRows& rows, std::int64_t c) {
  F32 d[N + 2], t[N + 2];
  each<N + 2>([&](auto j) CONVKIT_LAMBDA { d[j] = half[i][j]; });
  transform_input<N>(d, t);
  store_points<N>(t, rows, i, c);
}

// Row i of half times A^T.
template <int N, class Half>
CONVKIT_INLINE void gradients_across(const Half& half, int i, const PointRows& rows,
                                     std::int64_t c) {
  F32 g[N], t[N + 2];
  each<N>([&](auto j) CONVKIT_LAMBDA { g[j] = half[i][j]; });
  transform_gradient<N>(g, t);
  store_points<N>(t, rows, i, c);
}

// B^T x B of a tile. One of 4 x 4, as most are, finds room in AVX-512's registers between the two.
inline void transform_input_tile(const TileView& x, const TileAt& at, const PointRows& rows,
                                 std::int64_t c) {
  if (at.rows == 4 && at.columns == 4) {
    F32 half[6][6];
    each<6>([&](auto j) CONVKIT_LAMBDA { inputs_down<4>(x, j, half); });
    each<6>([&](auto i) CONVKIT_LAMBDA { inputs_across<4>(half, i, rows, c); });
    return;
  }
  HalfTile half;
  with_size(at.rows, [&](auto m) {
    for (int j = 0; j < at.columns + 2; ++j) inputs_down<m>(x, j, half);
  });
  with_size(at.columns, [&](auto n) {
    for (int i = 0; i < at.rows + 2; ++i) inputs_across<n>(half, i, rows, c);
  });
}

// A dy A^T of a tile, likewise.
inline void transform_gradient_tile(const TileView& dy, const TileAt& at, const PointRows& rows,
                                    std::int64_t c) {
  if (at.rows == 4 && at.columns == 4) {
    F32 half[6][4];
    each<4>([&](auto j) CONVKIT_LAMBDA { gradients_down<4>(dy, j, half); });
    each<6>([&](auto i) CONVKIT_LAMBDA { gradients_across<4>(half, i, rows, c); });
    return;
  }
  HalfTile half;
  with_size(at.rows, [&](auto m) {
    for (int j = 0; j < at.columns; ++j) gradients_down<m>(dy, j, half);
  });
  with_size(at.columns, [&](auto n) {
    for (int i = 0; i < at.rows + 2; ++i) gradients_across<n>(half, i, rows, c);
  });
}

// B^T x B of tiles [begin, end) to channels [c_begin, c_end) of rows of channels from `first` on.
inline void transform_inputs(const WinogradShape& s, const float* x, std::int64_t first,
                             std::int64_t begin, std::int64_t end, std::int64_t c_begin,
                             std::int64_t c_end, PointRows& rows) {
  float copy[kMaxPoints * kMaxPoints * kLanes];
  each_tile(s, begin, end, [&](const TileAt& at) {
    const float* image = x + at.n * s.h * s.w * s.c;
    for (std::int64_t c = c_begin; c < c_end; c += kLanes) {
      const TileView view = view_tile(at.rows + 2, at.columns + 2, image, s.h, s.w, s.c,
                                      at.oh - s.pad_top, at.ow - s.pad_left, first + c, copy);
      transform_input_tile(view, at, rows, c);
    }
    rows.advance(at);
  });
}

// Where channel c of a tile's 2 x 2 window (i, j) is in what is pooled.
inline std::int64_t pooled_at(const WinogradShape& s, const TileAt& at, std::int64_t c, int i,
                              int j) {
  const std::int64_t h = at.n * (s.oh / 2) + at.oh / 2 + i, w = at.ow / 2 + j;
  return (h * (s.ow / 2) + w) * s.oc + c;
}

// A tile's gradients from those behind a 2 x 2 max pool: each goes to where its maximum was.
inline TileView unpool_tile(const WinogradShape& s, const TileAt& at, const float* dy,
                            const std::uint8_t* indices, std::int64_t c, float* copy) {
  for (int i = 0; i < at.rows; i += 2) {
    for (int j = 0; j < at.columns; j += 2) {
      const std::int64_t from = pooled_at(s, at, c, i / 2, j / 2);
      const F32 pooled = load_part(dy + from, s.oc - c);
      const I32 where = load_indices(indices + from, s.oc - c);
      for (int k = 0; k < 4; ++k)
        store(copy + ((i + k / 2) * kMaxPoints + j + k % 2) * kLanes,
              select(eq_i(where, set1_i(k)), pooled, zero()));
    }
  }
  return {copy, kMaxPoints * kLanes, kLanes};
}

// A dy A^T of tiles [begin, end) to channels [first_o, last_o) of rows of loc. With indices, dy is
// the gradient behind a 2 x 2 max pool: oh and ow are even then, and all tiles of 4 or 2.
inline void transform_gradients(const WinogradShape& s, const float* dy,
                                const std::uint8_t* indices, std::int64_t begin, std::int64_t end,
                                PointRows& rows) {
  float copy[kMaxPoints * kMaxPoints * kLanes];
  each_tile(s, begin, end, [&](const TileAt& at) {
    const float* image = dy + at.n * s.oh * s.ow * s.oc;
    for (std::int64_t c = s.first_o; c < s.last_o; c += kLanes) {
      const TileView view =
          indices ? unpool_tile(s, at, dy, indices, c, copy)
                  : view_tile(at.rows, at.columns, image, s.oh, s.ow, s.oc, at.oh, at.ow, c, copy);
      transform_gradient_tile(view, at, rows, c);
    }
    rows.advance(at);
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

  // Whether so many rows and columns are all inside.
  bool contains(int rows, int columns) const {
    return top <= 0 && bottom >= rows && left_end <= 0 && right_end >= columns &&
           channels >= kLanes;
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

// B v of some columns of M + 2 points.
template <int M>
inline void input_gradients_down(const PointRows& rows, std::int64_t c, int columns,
                                 HalfTile& half) {
  for (int j = 0; j < columns; ++j) {
    const PointVectors from = PointVectors::of_column(rows, j, c);
    F32 v[M + 2], d[M + 2];
    each<M + 2>([&](auto i) CONVKIT_LAMBDA { v[i] = load(from[i]); });
    transform_input_gradient<M>(v, d);
    each<M + 2>([&](auto i) CONVKIT_LAMBDA { half[i][j] = d[i]; });
  }
}

// The rows of half times B^T.
template <int N>
inline void input_gradients_across(const HalfTile& half, int rows, const GradientView& to) {
  const bool all_inside = to.contains(rows, N + 2);
  for (int i = 0; i < rows; ++i) {
    F32 v[N + 2], d[N + 2];
    each<N + 2>([&](auto j) CONVKIT_LAMBDA { v[j] = half[i][j]; });
    transform_input_gradient<N>(v, d);
    if (all_inside) {
      to.add_inside(i, d);
    } else {
      to.add_row(i, d);
    }
  }
}

// dx of tiles [begin, end), for the rows' channels from `first` on: tiles overlap, and B v B^T is
// written where an image's tiles come first, or added there, too. All tiles of an image in one
// call.
inline void add_input_gradients(const WinogradShape& s, PointRows& rows, float* dx,
                                std::int64_t first, std::int64_t begin, std::int64_t end) {
  HalfTile half;
  each_tile(s, begin, end, [&](const TileAt& at) {
    const std::int64_t h0 = at.oh - s.pad_top, w0 = at.ow - s.pad_left;
    float* corner = dx + ((at.n * s.h + h0) * s.w + w0) * s.c + first;
    for (std::int64_t c = 0; c < rows.channels; c += kLanes) {
      const GradientView to = {corner + c, s.w * s.c,       s.c,        -h0,        s.h - h0,   -w0,
                               s.w - w0,   s.c - first - c, at.oh == 0, at.ow == 0, s.add_to_dx};
      with_size(at.rows, [&](auto m) { input_gradients_down<m>(rows, c, at.columns + 2, half); });
      with_size(at.columns, [&](auto n) { input_gradients_across<n>(half, at.rows + 2, to); });
    }
    rows.advance(at);
  });
}

// Where channel c of a tile's first output is in y.
inline std::int64_t output_at(const WinogradShape& s, const TileAt& at, std::int64_t c) {
  return ((at.n * s.oh + at.oh) * s.ow + at.ow) * s.oc + c;
}

// The rows of a tile's points times A.
template <int N>
inline void outputs_across(const PointRows& rows, std::int64_t c, int points, HalfTile& half) {
  for (int i = 0; i < points; ++i) {
    const PointVectors from = PointVectors::of_row(rows, i, c);
    F32 p[N + 2], t[N];
    each<N + 2>([&](auto j) CONVKIT_LAMBDA { p[j] = load(from[j]); });
    transform_output<N>(p, t);
    each<N>([&](auto j) CONVKIT_LAMBDA { half[i][j] = t[j]; });
  }
}

// What follows the sums of a tile: factors that are left of the transforms, bias, what is added,
// ReLU.
struct OutputView {
  F32 bias;
  const float* residual;  // null, or at the tile's first output
  bool relu;
  float* corner;             // where the first output goes
  std::int64_t row, column;  // floats between neighbours, of both
  std::int64_t channels;     // from the corner's on
};

// A^T times the columns of half, to memory.
template <int M>
inline void outputs_down(const HalfTile& half, int columns, const OutputView& to) {
  for (int j = 0; j < columns; ++j) {
    F32 p[M + 2], a[M];
    each<M + 2>([&](auto i) CONVKIT_LAMBDA { p[i] = half[i][j]; });
    transform_output<M>(p, a);
    each<M>([&](auto i) CONVKIT_LAMBDA {
      F32 v = fma(set1(kPowersOfH[i + j]), a[i], to.bias);
      const std::int64_t at = i * to.row + j * to.column;
      if (to.residual) v = add(v, load_part(to.residual + at, to.channels));
      store_part(to.corner + at, to.relu ? max(zero(), v) : v, to.channels);
    });
  }
}

// The maximum of each 2 x 2 window of a tile's outputs to y, and its position to indices.
inline void store_pooled(const WinogradShape& s, const TileView& a, const TileAt& at,
                         std::int64_t c, float* y, std::uint8_t* indices) {
  for (int i = 0; i < at.rows; i += 2) {
    for (int j = 0; j < at.columns; j += 2) {
      F32 best = a.at(i, j);
      I32 where = set1_i(0);
      for (int k = 1; k < 4; ++k) {
        const F32 v = a.at(i + k / 2, j + k % 2);
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
  float unpooled[kMaxTile * kMaxTile * kLanes];
  HalfTile half;
  each_tile(s, begin, end, [&](const TileAt& at) {
    for (std::int64_t c = 0; c < rows.channels; c += kLanes) {
      const std::int64_t from = output_at(s, at, first + c), left = s.oc - first - c;
      OutputView to = {bias ? load_part(bias + first + c, left) : zero(),
                       residual ? residual + from : nullptr,
                       relu,
                       y + from,
                       s.ow * s.oc,
                       s.oc,
                       left};
      if (indices)
        to.corner = unpooled, to.row = kMaxTile * kLanes, to.column = kLanes, to.channels = kLanes;
      with_size(at.columns, [&](auto n) { outputs_across<n>(rows, c, at.rows + 2, half); });
      with_size(at.rows, [&](auto m) { outputs_down<m>(half, at.columns, to); });
      if (indices) store_pooled(s, {unpooled, to.row, to.column}, at, first + c, y, indices);
    }
    rows.advance(at);
  });
}

CONVKIT_END_KERNELS
