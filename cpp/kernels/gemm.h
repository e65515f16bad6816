// Register tiles: the two inner loops that all convolutions and dense layers are made of.
//
// multiply_tile: rows of a (broadcast, one pointer a row) times a matrix (vectors along columns).
// outer_tile: sums of outer products of two streams, for weight gradients.
#pragma once

#include <utility>

#include "simd.h"

CONVKIT_BEGIN_KERNELS

inline std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

// One unsigned comparison covers both ends.
CONVKIT_INLINE bool is_inside(std::int64_t i, std::int64_t size) {
  return static_cast<std::uint64_t>(i) < static_cast<std::uint64_t>(size);
}

template <int N>
struct Index {
  static constexpr int value = N;
  constexpr operator int() const { return N; }
};

// Calls f(0), f(1), ... f(Count - 1) with constants. An array of vectors that is only indexed so
// stays in registers; loops that the compiler unrolls late leave it on the stack at either end.
template <int Begin, class F, int... I>
CONVKIT_INLINE void each_from(const F& f, std::integer_sequence<int, I...>) {
  (f(Index<Begin + I>{}), ...);
}
template <int Count, int Begin = 0, class F>
CONVKIT_INLINE void each(const F& f) {
  each_from<Begin>(f, std::make_integer_sequence<int, Count - Begin>{});
}

// The same for all pairs of a register tile's rows and vectors.
template <int Rows, int Vectors, class F>
CONVKIT_INLINE void each_of_tile(const F& f) {
  each<Rows>([&](auto m)
                 CONVKIT_LAMBDA { each<Vectors>([&](auto v) CONVKIT_LAMBDA { f(m, v); }); });
}

// acc[m][v] += a(m) * b[v].
template <int Rows, int Vectors, class A>
CONVKIT_INLINE void multiply_add(const A& a, const F32 (&b)[Vectors], F32 (&acc)[Rows][Vectors]) {
  each<Rows>([&](auto m) CONVKIT_LAMBDA {
    const F32 am = set1(a(m));
    each<Vectors>([&](auto v) CONVKIT_LAMBDA { acc[m][v] = fma(am, b[v], acc[m][v]); });
  });
}

// Rows of b that multiply_tile fetches ahead: as far as a third-level cache is away. The hardware
// does not foresee the rows of a panel that is narrower than its matrix.
constexpr int kRowsAhead = 16;

// acc[m][v] += sum over k of a[m][k] * b[k * ldb + v * kLanes ...]. Reads whole vectors of b, and
// with Ahead fetches those to come.
template <int Rows, int Vectors, bool Ahead>
CONVKIT_INLINE void multiply_tile(const float* const* a, const float* b, std::int64_t ldb,
                                  std::int64_t k, F32 (&acc)[Rows][Vectors]) {
  // Copies, for the compiler to keep in registers where the tile leaves it enough.
  const float* row[Rows];
  each<Rows>([&](auto m) CONVKIT_LAMBDA { row[m] = a[m]; });
  for (std::int64_t i = 0; i < k; ++i) {
    F32 bv[Vectors];
    each<Vectors>([&](auto v) CONVKIT_LAMBDA {
      bv[v] = load(b + v * kLanes);
      if constexpr (Ahead) __builtin_prefetch(b + kRowsAhead * ldb + v * kLanes);
    });
    b += ldb;
    multiply_add<Rows, Vectors>([&](auto m) CONVKIT_LAMBDA { return row[m][i]; }, bv, acc);
  }
}

// acc[m][v] += sum over p < count of a[p * step_a + m] * b[p * ldb + v * kLanes ...]; with Tail the
// last vector of b has only last < kLanes floats.
template <int Rows, int Vectors, bool Tail>
CONVKIT_INLINE void outer_tile(const float* a, std::int64_t step_a, const float* b,
                               std::int64_t ldb, std::int64_t count, int last,
                               F32 (&acc)[Rows][Vectors]) {
  for (std::int64_t p = 0; p < count; ++p) {
    F32 bv[Vectors];
    each<Vectors>([&](auto v) CONVKIT_LAMBDA {
      bv[v] = (Tail && v == Vectors - 1) ? load_n(b + v * kLanes, last) : load(b + v * kLanes);
    });
    b += ldb;
    multiply_add<Rows, Vectors>([&](auto m) CONVKIT_LAMBDA { return a[m]; }, bv, acc);
    a += step_a;
  }
}

CONVKIT_END_KERNELS
