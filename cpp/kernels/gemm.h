// Register tiles: the two inner loops that all convolutions and dense layers are made of.
//
// multiply_tile: rows of a (broadcast, one pointer a row) times a matrix (vectors along columns).
// outer_tile: sums of outer products of two streams, for weight gradients.
#pragma once

#include "simd.h"

CONVKIT_BEGIN_KERNELS

// acc[m][v] += sum over k of a[m][k] * b[k * ldb + v * kLanes ...]. Reads whole vectors of b.
template <int Rows, int Vectors>
inline void multiply_tile(const float* const* a, const float* b, std::int64_t ldb, std::int64_t k,
                          F32 (&acc)[Rows][Vectors]) {
  // Copies, for the compiler to keep in registers where the tile leaves it enough.
  const float* row[Rows];
  for (int m = 0; m < Rows; ++m) row[m] = a[m];
  for (std::int64_t i = 0; i < k; ++i) {
    F32 bv[Vectors];
    for (int v = 0; v < Vectors; ++v) bv[v] = load(b + v * kLanes);
    b += ldb;
    for (int m = 0; m < Rows; ++m) {
      const F32 am = set1(row[m][i]);
      for (int v = 0; v < Vectors; ++v) acc[m][v] = fma(am, bv[v], acc[m][v]);
    }
  }
}

// acc[m][v] += sum over p < count of a[p * step_a + m] * b[p * ldb + v * kLanes ...]; with Tail the
// last vector of b has only last < kLanes floats.
template <int Rows, int Vectors, bool Tail>
inline void outer_tile(const float* a, std::int64_t step_a, const float* b, std::int64_t ldb,
                       std::int64_t count, int last, F32 (&acc)[Rows][Vectors]) {
  for (std::int64_t p = 0; p < count; ++p) {
    F32 bv[Vectors];
    for (int v = 0; v < Vectors; ++v) {
      bv[v] = (Tail && v == Vectors - 1) ? load_n(b + v * kLanes, last) : load(b + v * kLanes);
    }
    b += ldb;
    for (int m = 0; m < Rows; ++m) {
      const F32 am = set1(a[m]);
      for (int v = 0; v < Vectors; ++v) acc[m][v] = fma(am, bv[v], acc[m][v]);
    }
    a += step_a;
  }
}

CONVKIT_END_KERNELS
