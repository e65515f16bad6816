// Winograd convolutions on blocks of tiles: transform, multiply point by point, transform back. The
// transforms and their source are in winograd_transforms.h.
#pragma once

#include "gemm.h"
#include "winograd_transforms.h"

CONVKIT_BEGIN_KERNELS

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

// y of tiles [begin, end) from transformed weights u, one (lc, loc) matrix a point.
void winograd_forward(const WinogradShape& s, const float* x, const float* u, const float* bias,
                      bool relu, float* y, std::int64_t begin, std::int64_t end, float* scratch) {
  const std::int64_t tiles = end - begin;
  float* v = scratch;
  float* products = scratch + kPoints * kPoints * tiles * s.lc;
  const PointRows rows = transform_inputs(s, x, begin, end, v);
  for (int p = 0; p < kPoints * kPoints; ++p) {
    multiply(rows.count(p / kPoints, p % kPoints), v + p * tiles * s.lc, u + p * s.lc * s.loc,
             products + p * tiles * s.loc, s.lc, s.loc);
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
  const PointRows rows = transform_inputs(s, x, begin, end, v);
  transform_gradients(s, dy, begin, end, z);
  for (int p = 0; p < kPoints * kPoints; ++p) {
    const std::int64_t k = rows.count(p / kPoints, p % kPoints);
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
