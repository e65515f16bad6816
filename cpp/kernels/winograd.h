// Winograd's minimal filtering for 3 x 3 stride-1 convolutions (Lavin and Gray, "Fast algorithms
// for convolutional neural networks", 2016): a tile of M x M outputs is A^T [(G w G^T) . (B^T x B)]
// A, with (M + 2)^2 products in place of 9 M^2. Summed over channels the products are small matrix
// products, one for each point.
//
// The plane is cut into tiles of 4, 3 and 2 without remainder (14 = 4 + 4 + 4 + 2), and all share
// one set of transformed weights: the points are 0, 1, -1, infinity, 2, -2 in this order, a tile of
// M uses the first M + 2 of them, and its B is scaled to the G of M = 4. The tiles' rows are packed
// per point, so that smaller tiles cost only the products that they need.
#pragma once

#include "gemm.h"

CONVKIT_BEGIN_KERNELS

constexpr int kPoints = 6;  // along one axis

// One axis of B^T x: M + 2 inputs to M + 2 points.
template <int M>
inline void transform_input(const F32 (&d)[M + 2], F32 (&t)[M + 2]) {
  if constexpr (M == 4) {
    const F32 even = fnma(set1(4.0f), d[2], d[4]), odd = fnma(set1(4.0f), d[1], d[3]);
    const F32 near = sub(d[4], d[2]), slope = sub(d[3], d[1]);
    t[0] = fma(set1(4.0f), d[0], fnma(set1(5.0f), d[2], d[4]));
    t[1] = add(even, odd);
    t[2] = sub(even, odd);
    t[3] = fma(set1(4.0f), d[1], fnma(set1(5.0f), d[3], d[5]));
    t[4] = fma(set1(2.0f), slope, near);
    t[5] = fnma(set1(2.0f), slope, near);
  } else if constexpr (M == 3) {
    const F32 slope = sub(d[1], d[3]);
    t[0] = fnma(set1(2.0f), slope, mul(set1(4.0f), sub(d[0], d[2])));
    t[1] = fnma(set1(6.0f), d[1], mul(set1(3.0f), sub(d[3], d[2])));
    t[2] = fma(set1(2.0f), d[1], fnma(set1(3.0f), d[2], d[3]));
    t[3] = fma(set1(2.0f), slope, sub(d[4], d[2]));
    t[4] = mul(set1(-4.0f), slope);
  } else {
    t[0] = mul(set1(4.0f), sub(d[0], d[2]));
    t[1] = mul(set1(-3.0f), add(d[1], d[2]));
    t[2] = mul(set1(3.0f), sub(d[1], d[2]));
    t[3] = sub(d[3], d[1]);
  }
}

// One axis of A^T m: M + 2 points to M outputs.
template <int M>
inline void transform_output(const F32 (&m)[M + 2], F32 (&y)[M]) {
  const F32 sum = add(m[1], m[2]), difference = sub(m[1], m[2]);
  if constexpr (M == 4) {
    const F32 far_sum = add(m[4], m[5]), far_difference = sub(m[4], m[5]);
    y[0] = add(add(m[0], sum), far_sum);
    y[1] = fma(set1(2.0f), far_difference, difference);
    y[2] = fma(set1(4.0f), far_sum, sum);
    y[3] = add(fma(set1(8.0f), far_difference, difference), m[3]);
  } else if constexpr (M == 3) {
    y[0] = add(add(m[0], sum), m[4]);
    y[1] = fma(set1(2.0f), m[4], difference);
    y[2] = add(fma(set1(4.0f), m[4], sum), m[3]);
  } else {
    y[0] = add(m[0], sum);
    y[1] = add(difference, m[3]);
  }
}

// One axis of A dy: M output gradients to M + 2 points.
template <int M>
inline void transform_gradient(const F32 (&y)[M], F32 (&z)[M + 2]) {
  z[0] = y[0];
  z[3] = y[M - 1];
  if constexpr (M == 4) {
    const F32 even = add(y[0], y[2]), odd = add(y[1], y[3]);
    const F32 far_even = fma(set1(4.0f), y[2], y[0]);
    const F32 far_odd = fma(set1(8.0f), y[3], add(y[1], y[1]));
    z[1] = add(even, odd);
    z[2] = sub(even, odd);
    z[4] = add(far_even, far_odd);
    z[5] = sub(far_even, far_odd);
  } else if constexpr (M == 3) {
    const F32 even = add(y[0], y[2]);
    z[1] = add(even, y[1]);
    z[2] = sub(even, y[1]);
    z[4] = fma(set1(4.0f), y[2], fma(set1(2.0f), y[1], y[0]));
  } else {
    z[1] = add(y[0], y[1]);
    z[2] = sub(y[0], y[1]);
  }
}

// One axis of G w: three weights to all six points; and its transpose for the gradient.
inline void transform_weights(const F32 (&g)[3], F32 (&u)[kPoints]) {
  const F32 even = mul(set1(-1.0f / 6.0f), add(g[0], g[2]));
  const F32 odd = mul(set1(-1.0f / 6.0f), g[1]);
  const F32 far_even = fma(set1(1.0f / 24.0f), g[0], mul(set1(1.0f / 6.0f), g[2]));
  const F32 far_odd = mul(set1(1.0f / 12.0f), g[1]);
  u[0] = mul(set1(0.25f), g[0]);
  u[1] = add(even, odd);
  u[2] = sub(even, odd);
  u[3] = g[2];
  u[4] = add(far_even, far_odd);
  u[5] = sub(far_even, far_odd);
}

inline void transform_weight_gradient(const F32 (&u)[kPoints], F32 (&g)[3]) {
  const F32 sum = mul(set1(-1.0f / 6.0f), add(u[1], u[2])), far_sum = add(u[4], u[5]);
  const F32 slope = mul(set1(-1.0f / 6.0f), sub(u[1], u[2]));
  g[0] = fma(set1(0.25f), u[0], fma(set1(1.0f / 24.0f), far_sum, sum));
  g[1] = fma(set1(1.0f / 12.0f), sub(u[4], u[5]), slope);
  g[2] = add(fma(set1(1.0f / 6.0f), far_sum, sum), u[3]);
}

// Applies a one-axis transform to both axes of a Rows x Columns array.
template <int Rows, int Columns, int ToRows, int ToColumns, class Row, class Column>
inline void both_axes(const F32 (&from)[Rows][Columns], F32 (&to)[ToRows][ToColumns],
                      const Row& row, const Column& column) {
  F32 half[ToRows][Columns];
  for (int j = 0; j < Columns; ++j) {
    F32 in[Rows], out[ToRows];
    for (int i = 0; i < Rows; ++i) in[i] = from[i][j];
    row(in, out);
    for (int i = 0; i < ToRows; ++i) half[i][j] = out[i];
  }
  for (int i = 0; i < ToRows; ++i) column(half[i], to[i]);
}

template <int N>
struct Size {
  static constexpr int value = N;
};

// A tile in its image: the corner of its outputs, and how many it has.
struct TileAt {
  std::int64_t n, oh, ow;
  int rows, columns;
};

inline TileAt tile_at(const WinogradShape& s, std::int64_t t) {
  const TileSpan& row = s.tile_rows[t / s.tiles_w % s.tiles_h];
  const TileSpan& column = s.tile_columns[t % s.tiles_w];
  return {t / (s.tiles_w * s.tiles_h), row.start, column.start, row.size, column.size};
}

template <int Rows, class F>
inline void with_columns(int columns, const F& f) {
  if (columns == 4) return f(Size<Rows>{}, Size<4>{});
  if (columns == 3) return f(Size<Rows>{}, Size<3>{});
  f(Size<Rows>{}, Size<2>{});
}

// Calls f with the tile's sizes as constants.
template <class F>
inline void with_sizes(const TileAt& at, const F& f) {
  if (at.rows == 4) return with_columns<4>(at.columns, f);
  if (at.rows == 3) return with_columns<3>(at.columns, f);
  with_columns<2>(at.columns, f);
}

// A block of tiles as a matrix for each point: rows are the tiles that use the point, in order.
struct PointRows {
  float* at[kPoints][kPoints];  // each point's next row

  PointRows(float* block, std::int64_t tiles, std::int64_t channels) {
    for (int i = 0; i < kPoints; ++i)
      for (int j = 0; j < kPoints; ++j) at[i][j] = block + (i * kPoints + j) * tiles * channels;
  }

  void advance(int rows, int columns, std::int64_t channels) {
    for (int i = 0; i < rows + 2; ++i)
      for (int j = 0; j < columns + 2; ++j) at[i][j] += channels;
  }
};

// The tile's (M + 2) x (N + 2) input positions, one vector of channels, zeros in the padding.
template <int M, int N>
inline void load_inputs(const WinogradShape& s, const float* x, const TileAt& at, std::int64_t c,
                        F32 (&d)[M + 2][N + 2]) {
  const std::int64_t h0 = at.oh - s.pad_top, w0 = at.ow - s.pad_left, left = s.c - c;
  const float* corner = x + ((at.n * s.h + h0) * s.w + w0) * s.c + c;
  if (h0 >= 0 && w0 >= 0 && h0 + M + 2 <= s.h && w0 + N + 2 <= s.w && left >= kLanes) {
    for (int i = 0; i < M + 2; ++i)
      for (int j = 0; j < N + 2; ++j) d[i][j] = load(corner + (i * s.w + j) * s.c);
    return;
  }
  for (int i = 0; i < M + 2; ++i) {
    const bool row_inside = h0 + i >= 0 && h0 + i < s.h;
    for (int j = 0; j < N + 2; ++j) {
      const bool inside = row_inside && w0 + j >= 0 && w0 + j < s.w;
      d[i][j] = inside ? load_part(corner + (i * s.w + j) * s.c, left) : zero();
    }
  }
}

// B^T x B of tiles [begin, end) to v, one (tiles, lc) matrix a point.
inline void transform_inputs(const WinogradShape& s, const float* x, std::int64_t begin,
                             std::int64_t end, float* v) {
  PointRows rows(v, end - begin, s.lc);
  for (std::int64_t t = begin; t < end; ++t) {
    const TileAt at = tile_at(s, t);
    with_sizes(at, [&](auto m, auto n) {
      constexpr int M = decltype(m)::value, N = decltype(n)::value;
      for (std::int64_t c = 0; c < s.lc; c += kLanes) {
        F32 d[M + 2][N + 2], t[M + 2][N + 2];
        load_inputs<M, N>(s, x, at, c, d);
        both_axes(d, t, transform_input<M>, transform_input<N>);
        for (int i = 0; i < M + 2; ++i)
          for (int j = 0; j < N + 2; ++j) store(rows.at[i][j] + c, t[i][j]);
      }
    });
    rows.advance(at.rows, at.columns, s.lc);
  }
}

// A dy A^T of tiles [begin, end) to z, one (tiles, loc) matrix a point.
inline void transform_gradients(const WinogradShape& s, const float* dy, std::int64_t begin,
                                std::int64_t end, float* z) {
  PointRows rows(z, end - begin, s.loc);
  for (std::int64_t t = begin; t < end; ++t) {
    const TileAt at = tile_at(s, t);
    const float* corner = dy + ((at.n * s.oh + at.oh) * s.ow + at.ow) * s.oc;
    with_sizes(at, [&](auto m, auto n) {
      constexpr int M = decltype(m)::value, N = decltype(n)::value;
      for (std::int64_t c = 0; c < s.loc; c += kLanes) {
        F32 g[M][N], t[M + 2][N + 2];
        for (int i = 0; i < M; ++i)
          for (int j = 0; j < N; ++j)
            g[i][j] = load_part(corner + (i * s.ow + j) * s.oc + c, s.oc - c);
        both_axes(g, t, transform_gradient<M>, transform_gradient<N>);
        for (int i = 0; i < M + 2; ++i)
          for (int j = 0; j < N + 2; ++j) store(rows.at[i][j] + c, t[i][j]);
      }
    });
    rows.advance(at.rows, at.columns, s.loc);
  }
}

// A^T m A of tiles [begin, end) to y, with bias and ReLU.
inline void transform_outputs(const WinogradShape& s, float* products, const float* bias, bool relu,
                              float* y, std::int64_t begin, std::int64_t end) {
  PointRows rows(products, end - begin, s.loc);
  for (std::int64_t t = begin; t < end; ++t) {
    const TileAt at = tile_at(s, t);
    float* corner = y + ((at.n * s.oh + at.oh) * s.ow + at.ow) * s.oc;
    with_sizes(at, [&](auto m, auto n) {
      constexpr int M = decltype(m)::value, N = decltype(n)::value;
      for (std::int64_t c = 0; c < s.loc; c += kLanes) {
        F32 p[M + 2][N + 2], t[M][N];
        for (int i = 0; i < M + 2; ++i)
          for (int j = 0; j < N + 2; ++j) p[i][j] = load(rows.at[i][j] + c);
        both_axes(p, t, transform_output<M>, transform_output<N>);
        const F32 b = bias ? load_part(bias + c, s.oc - c) : zero();
        for (int i = 0; i < M; ++i) {
          for (int j = 0; j < N; ++j) {
            const F32 a = add(t[i][j], b);
            store_part(corner + (i * s.ow + j) * s.oc + c, relu ? max(zero(), a) : a, s.oc - c);
          }
        }
      }
    });
    rows.advance(at.rows, at.columns, s.loc);
  }
}

// out (rows, n) = a (rows, k) b (k, n), all rows of a register tile; n a multiple of kLanes.
template <int Rows>
inline void multiply_rows(const float* a, const float* b, float* out, std::int64_t k,
                          std::int64_t n) {
  const float* row[Rows];
  for (int m = 0; m < Rows; ++m) row[m] = a + m * k;
  std::int64_t col = 0;
  for (; col + kTileVectors * kLanes <= n; col += kTileVectors * kLanes) {
    F32 acc[Rows][kTileVectors] = {};
    multiply_tile<Rows, kTileVectors>(row, b + col, n, k, acc);
    for (int m = 0; m < Rows; ++m)
      for (int v = 0; v < kTileVectors; ++v) store(out + m * n + col + v * kLanes, acc[m][v]);
  }
  for (; col < n; col += kLanes) {
    F32 acc[Rows][1] = {};
    multiply_tile<Rows, 1>(row, b + col, n, k, acc);
    for (int m = 0; m < Rows; ++m) store(out + m * n + col, acc[m][0]);
  }
}

template <int Rows>
inline void multiply_exactly(std::int64_t rows, const float* a, const float* b, float* out,
                             std::int64_t k, std::int64_t n) {
  if (rows == Rows) return multiply_rows<Rows>(a, b, out, k, n);
  if constexpr (Rows > 1) multiply_exactly<Rows - 1>(rows, a, b, out, k, n);
}

// Any number of rows, in register tiles of nearly equal height.
inline void multiply(std::int64_t rows, const float* a, const float* b, float* out, std::int64_t k,
                     std::int64_t n) {
  for (std::int64_t tiles = (rows + kTileRows - 1) / kTileRows; tiles > 0; --tiles) {
    const std::int64_t height = (rows + tiles - 1) / tiles;
    multiply_exactly<kTileRows>(height, a, b, out, k, n);
    a += height * k;
    out += height * n;
    rows -= height;
  }
}

// The rows that a point has among tiles [begin, end): those tall and wide enough to use it.
inline std::int64_t point_rows(const WinogradShape& s, std::int64_t begin, std::int64_t end, int i,
                               int j) {
  if (i < 4 && j < 4) return end - begin;
  std::int64_t count = 0;
  for (std::int64_t t = begin; t < end; ++t) {
    const TileAt at = tile_at(s, t);
    count += at.rows + 2 > i && at.columns + 2 > j;
  }
  return count;
}

// y of tiles [begin, end) from transformed weights u, one (lc, loc) matrix a point.
void winograd_forward(const WinogradShape& s, const float* x, const float* u, const float* bias,
                      bool relu, float* y, std::int64_t begin, std::int64_t end, float* scratch) {
  const std::int64_t tiles = end - begin;
  float* v = scratch;
  float* products = scratch + kPoints * kPoints * tiles * s.lc;
  transform_inputs(s, x, begin, end, v);
  for (int p = 0; p < kPoints * kPoints; ++p) {
    multiply(point_rows(s, begin, end, p / kPoints, p % kPoints), v + p * tiles * s.lc,
             u + p * s.lc * s.loc, products + p * tiles * s.loc, s.lc, s.loc);
  }
  transform_outputs(s, products, bias, relu, y, begin, end);
}

// out (c, o) += a (k, c)^T b (k, o) for c < Rows and Vectors vectors of o.
template <int Rows, int Vectors>
inline void add_outer(const float* a, const float* b, float* out, std::int64_t k, std::int64_t lda,
                      std::int64_t ldb) {
  F32 acc[Rows][Vectors];
  for (int m = 0; m < Rows; ++m)
    for (int v = 0; v < Vectors; ++v) acc[m][v] = load(out + m * ldb + v * kLanes);
  outer_tile<Rows, Vectors, false>(a, lda, b, ldb, k, kLanes, acc);
  for (int m = 0; m < Rows; ++m)
    for (int v = 0; v < Vectors; ++v) store(out + m * ldb + v * kLanes, acc[m][v]);
}

template <int Rows>
inline void add_outer_row(const float* a, const float* b, float* out, std::int64_t k,
                          std::int64_t lda, std::int64_t ldb) {
  std::int64_t o = 0;
  for (; o + 2 * kLanes <= ldb; o += 2 * kLanes) add_outer<Rows, 2>(a, b + o, out + o, k, lda, ldb);
  for (; o < ldb; o += kLanes) add_outer<Rows, 1>(a, b + o, out + o, k, lda, ldb);
}

// du (one (lc, loc) matrix a point) += what tiles [begin, end) give.
void winograd_accumulate(const WinogradShape& s, const float* x, const float* dy, float* du,
                         std::int64_t begin, std::int64_t end, float* scratch) {
  const std::int64_t tiles = end - begin;
  float* v = scratch;
  float* z = scratch + kPoints * kPoints * tiles * s.lc;
  transform_inputs(s, x, begin, end, v);
  transform_gradients(s, dy, begin, end, z);
  for (int p = 0; p < kPoints * kPoints; ++p) {
    const std::int64_t k = point_rows(s, begin, end, p / kPoints, p % kPoints);
    const float* a = v + p * tiles * s.lc;
    const float* b = z + p * tiles * s.loc;
    float* out = du + p * s.lc * s.loc;
    std::int64_t c = 0;
    for (; c + kOuterRows <= s.lc; c += kOuterRows)
      add_outer_row<kOuterRows>(a + c, b, out + c * s.loc, k, s.lc, s.loc);
    for (; c + 4 <= s.lc; c += 4) add_outer_row<4>(a + c, b, out + c * s.loc, k, s.lc, s.loc);
    for (; c + 2 <= s.lc; c += 2) add_outer_row<2>(a + c, b, out + c * s.loc, k, s.lc, s.loc);
  }
}

// u = G w G^T for input channels [begin, end) of w (9, c, ldw); the channels and outputs that fill
// up vectors are zeros. flip turns the kernel by 180 degrees, for the input gradient.
void winograd_weights(const float* w, std::int64_t c, std::int64_t oc, std::int64_t ldw, bool flip,
                      std::int64_t lc, std::int64_t loc, float* u, std::int64_t begin,
                      std::int64_t end) {
  for (std::int64_t i = begin; i < end; ++i) {
    for (std::int64_t o = 0; o < loc; o += kLanes) {
      F32 g[3][3], t[kPoints][kPoints];
      for (int tap = 0; tap < 9; ++tap) {
        const float* from = w + ((flip ? 8 - tap : tap) * c + i) * ldw + o;
        g[tap / 3][tap % 3] = i < c ? load_part(from, oc - o) : zero();
      }
      both_axes(g, t, transform_weights, transform_weights);
      for (int p = 0; p < kPoints * kPoints; ++p)
        store(u + (p * lc + i) * loc + o, t[p / kPoints][p % kPoints]);
    }
  }
}

// dw (9, c, oc) = G^T du G for input channels [begin, end).
void winograd_weight_gradient(const float* du, std::int64_t c, std::int64_t oc, std::int64_t lc,
                              std::int64_t loc, float* dw, std::int64_t begin, std::int64_t end) {
  for (std::int64_t i = begin; i < end; ++i) {
    for (std::int64_t o = 0; o < loc; o += kLanes) {
      F32 t[kPoints][kPoints], g[3][3];
      for (int p = 0; p < kPoints * kPoints; ++p)
        t[p / kPoints][p % kPoints] = load(du + (p * lc + i) * loc + o);
      both_axes(t, g, transform_weight_gradient, transform_weight_gradient);
      for (int tap = 0; tap < 9; ++tap)
        store_part(dw + (tap * c + i) * oc + o, g[tap / 3][tap % 3], oc - o);
    }
  }
}

CONVKIT_END_KERNELS
