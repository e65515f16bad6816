// Weights of Winograd convolutions to their points, and the points' gradients back. The transforms
// along one axis are in winograd_points.h.
#pragma once

#include "transpose.h"
#include "winograd_tiles.h"

CONVKIT_BEGIN_KERNELS

// Calls f(c, o, offset) for the vectors of rows [begin, end) of a point's matrix, from row c,
// column o on, in the order in which they lie in a panel.
template <class F>
inline void each_of_panels(const WinogradShape& s, std::int64_t begin, std::int64_t end,
                           const F& f) {
  for (std::int64_t o = 0; o < s.loc; o += kPanel) {
    const std::int64_t width = s.loc - o < kPanel ? s.loc - o : kPanel;
    for (std::int64_t c = begin; c < end; ++c)
      for (std::int64_t i = 0; i < width; i += kLanes) f(c, o + i, o * s.lc + c * width + i);
  }
}

// Applies a one-axis transform to both axes of a Rows x Columns array.
template <int Rows, int Columns, int ToRows, int ToColumns, class Row, class Column>
inline void both_axes(const F32 (&from)[Rows][Columns], F32 (&to)[ToRows][ToColumns],
                      const Row& row, const Column& column) {
  F32 half[ToRows][Columns];
  each<Columns>([&](auto j) CONVKIT_LAMBDA {
    F32 in[Rows], out[ToRows];
    each<Rows>([&](auto i) CONVKIT_LAMBDA { in[i] = from[i][j]; });
    row(in, out);
    each<ToRows>([&](auto i) CONVKIT_LAMBDA { half[i][j] = out[i]; });
  });
  each<ToRows>([&](auto i) CONVKIT_LAMBDA { column(half[i], to[i]); });
}

// A vector of G g G^T for each point in use, `matrix` floats apart.
inline void store_weights(const WinogradShape& s, const UsedPoints& used, const F32 (&g)[3][3],
                          float* u) {
  with_points(s, [&](auto points) CONVKIT_LAMBDA {
    constexpr int P = decltype(points)::value;
    F32 t[P][P];
    both_axes(g, t, transform_weights<P>, transform_weights<P>);
    each_of_tile<P, P>([&](auto h, auto v) CONVKIT_LAMBDA {
      if (used.contain(h, v)) store(u + (h * P + v) * s.matrix, t[h][v]);
    });
  });
}

// u = G w G^T for input channels [begin, end) of w (9, c, ldw); the channels and outputs that fill
// up vectors are zeros. Points that no tile uses are left as they are.
void winograd_weights(const WinogradShape& s, const float* w, std::int64_t ldw, float* u,
                      std::int64_t begin, std::int64_t end) {
  const UsedPoints used(s);
  each_of_panels(s, begin, end, [&](std::int64_t i, std::int64_t o, std::int64_t at) {
    F32 g[3][3];
    each_of_tile<3, 3>([&](auto h, auto v) CONVKIT_LAMBDA {
      const float* from = w + ((3 * h + v) * s.c + i) * ldw + o;
      g[h][v] = i < s.c ? load_part(from, s.oc - o) : zero();
    });
    store_weights(s, used, g, u + at);
  });
}

// The same for the way back, from the output channels [first_o, last_o) of w (9, c, oc) to lc input
// channels from `first` on, of which [begin, end) are wanted, whole vectors: parts of the rows of
// one (loc, lc) matrix a point.
void winograd_transposed_weights(const WinogradShape& s, const float* w, std::int64_t first,
                                 std::int64_t begin, std::int64_t end, float* u) {
  constexpr std::int64_t kSquare = kLanes * kLanes;
  const UsedPoints used(s);
  float squares[9 * kSquare];
  for (std::int64_t from = s.first_o; from < s.last_o; from += kLanes) {
    const std::int64_t left = s.oc - from < kLanes ? s.oc - from : kLanes;
    for (std::int64_t i = begin; i < end; i += kLanes) {
      for (int tap = 0; tap < 9; ++tap) {
        transpose(w + (tap * s.c + first + i) * s.oc + from, s.oc, s.c - first - i, left,
                  squares + tap * kSquare, kLanes, kLanes);
      }
      const std::int64_t panel = i / kPanel * kPanel;
      const std::int64_t width = s.lc - panel < kPanel ? s.lc - panel : kPanel;
      for (std::int64_t o = from; o < from + kLanes; ++o) {
        F32 g[3][3];
        each_of_tile<3, 3>([&](auto h, auto v) CONVKIT_LAMBDA {
          const float* row = squares + (3 * h + v) * kSquare + (o - from) * kLanes;
          g[h][v] = o < s.oc ? load(row) : zero();
        });
        store_weights(s, used, g, u + panel * s.loc + o * width + i - panel);
      }
    }
  }
}

// dw (9, c, oc) = G^T du G for input channels [begin, end): a vector's points along the rows, of
// which so many are in use, and then along the columns.
template <int Points>
CONVKIT_INLINE void weight_gradient(const WinogradShape& s, const float* du, int down, int across,
                                    float* dw, std::int64_t begin, std::int64_t end) {
  each_of_panels(s, begin, end, [&](std::int64_t i, std::int64_t o, std::int64_t at) {
    F32 half[3][Points];
    const float* point = du + at;
    each<Points>([&](auto h) CONVKIT_LAMBDA {
      F32 in[Points], out[3];
      each<Points>([&](auto v) CONVKIT_LAMBDA {
        in[v] = h < down && v < across ? load(point) : zero();
        if (h * Points + v + 1 < Points * Points) point += s.matrix;
      });
      transform_weight_gradient<Points>(in, out);
      each<3>([&](auto v) CONVKIT_LAMBDA { half[v][h] = out[v]; });
    });
    float* to = dw + i * s.oc + o;
    each<3>([&](auto v) CONVKIT_LAMBDA {
      F32 g[3];
      transform_weight_gradient<Points>(half[v], g);
      each<3>([&](auto h)
                  CONVKIT_LAMBDA { store_part(to + (3 * h + v) * s.c * s.oc, g[h], s.oc - o); });
    });
  });
}

void winograd_weight_gradient(const WinogradShape& s, const float* du, float* dw,
                              std::int64_t begin, std::int64_t end) {
  const UsedPoints used(s);
  with_points(s, [&](auto points) {
    constexpr int P = decltype(points)::value;
    if (used.down == P && used.across == P) return weight_gradient<P>(s, du, P, P, dw, begin, end);
    weight_gradient<P>(s, du, used.down, used.across, dw, begin, end);
  });
}

CONVKIT_END_KERNELS
