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

// The transforms work on pairs of points, (0, infinity), (1, -1), (2, -2), whose sums share terms.
// A two-dimensional transform makes two rows of points at a time, which fit the registers.
constexpr int kPairs[3][2] = {{0, 3}, {1, 2}, {4, 5}};
// A tile of 3 uses only the first point of the last pair, a tile of 2 not even that.
template <int M>
constexpr int kPairsOf = M == 2 ? 2 : 3;
template <int M, int Pair>
constexpr int kPointsOfPair = M == 3 && Pair == 2 ? 1 : 2;

// One pair of points of B^T x, from M + 2 inputs.
template <int M, int Pair>
inline void input_points(const F32 (&d)[M + 2], F32& a, F32& b) {
  if constexpr (M == 4 && Pair == 0) {
    a = fma(set1(4.0f), d[0], fnma(set1(5.0f), d[2], d[4]));
    b = fma(set1(4.0f), d[1], fnma(set1(5.0f), d[3], d[5]));
  } else if constexpr (M == 4 && Pair == 1) {
    const F32 even = fnma(set1(4.0f), d[2], d[4]), odd = fnma(set1(4.0f), d[1], d[3]);
    a = add(even, odd);
    b = sub(even, odd);
  } else if constexpr (M == 4) {
    const F32 near = sub(d[4], d[2]), slope = sub(d[3], d[1]);
    a = fma(set1(2.0f), slope, near);
    b = fnma(set1(2.0f), slope, near);
  } else if constexpr (M == 3 && Pair == 0) {
    const F32 slope = sub(d[1], d[3]);
    a = fnma(set1(2.0f), slope, mul(set1(4.0f), sub(d[0], d[2])));
    b = fma(set1(2.0f), slope, sub(d[4], d[2]));
  } else if constexpr (M == 3 && Pair == 1) {
    a = fnma(set1(6.0f), d[1], mul(set1(3.0f), sub(d[3], d[2])));
    b = fma(set1(2.0f), d[1], fnma(set1(3.0f), d[2], d[3]));
  } else if constexpr (M == 3) {
    a = mul(set1(4.0f), sub(d[3], d[1]));
  } else if constexpr (Pair == 0) {
    a = mul(set1(4.0f), sub(d[0], d[2]));
    b = sub(d[3], d[1]);
  } else {
    a = mul(set1(-3.0f), add(d[1], d[2]));
    b = mul(set1(3.0f), sub(d[1], d[2]));
  }
}

// One pair of points of A dy, from M output gradients.
template <int M, int Pair>
inline void gradient_points(const F32 (&y)[M], F32& a, F32& b) {
  if constexpr (Pair == 0) {
    a = y[0];
    b = y[M - 1];
  } else if constexpr (Pair == 1) {
    const F32 even = M > 2 ? add(y[0], y[2 % M]) : y[0];
    const F32 odd = M > 3 ? add(y[1], y[3 % M]) : y[1];
    a = add(even, odd);
    b = sub(even, odd);
  } else if constexpr (M == 4) {
    const F32 even = fma(set1(4.0f), y[2], y[0]);
    const F32 odd = fma(set1(8.0f), y[3], add(y[1], y[1]));
    a = add(even, odd);
    b = sub(even, odd);
  } else {
    a = fma(set1(4.0f), y[2], fma(set1(2.0f), y[1], y[0]));
  }
}

template <int M>
inline void transform_input(const F32 (&d)[M + 2], F32 (&t)[M + 2]) {
  input_points<M, 0>(d, t[0], t[3]);
  input_points<M, 1>(d, t[1], t[2]);
  if constexpr (M > 2) input_points<M, 2>(d, t[4], t[M + 1]);
}

// The gradients of M + 2 inputs, in pairs that share terms; without the last of 5.
template <int M>
constexpr int kInputPairs[3][2] = {{0, M + 1}, {1, M == 2 ? 2 : 3}, {2, M}};

// One pair of B v, the adjoint of input_points, from M + 2 points.
template <int M, int Pair>
inline void input_gradients(const F32 (&v)[M + 2], F32& a, F32& b) {
  if constexpr (Pair == 0) {
    a = mul(set1(4.0f), v[0]);
    b = v[3];
  } else if constexpr (M == 4 && Pair == 1) {
    const F32 difference = sub(v[1], v[2]), far_difference = sub(v[4], v[5]);
    a = fnma(set1(2.0f), far_difference, mul(set1(4.0f), sub(v[3], difference)));
    b = fnma(set1(5.0f), v[3], fma(set1(2.0f), far_difference, difference));
  } else if constexpr (M == 4) {
    const F32 sum = add(v[1], v[2]), far_sum = add(v[4], v[5]);
    a = fnma(set1(5.0f), v[0], fnma(set1(4.0f), sum, sub(zero(), far_sum)));
    b = add(v[0], add(sum, far_sum));
  } else if constexpr (M == 3 && Pair == 1) {
    const F32 ends = sub(v[3], v[0]), far = mul(set1(4.0f), v[4]);
    a = fma(set1(2.0f), add(ends, v[2]), fnma(set1(6.0f), v[1], sub(zero(), far)));
    b = fnma(set1(2.0f), ends, fma(set1(3.0f), v[1], add(v[2], far)));
  } else if constexpr (M == 3) {
    a = fnma(set1(3.0f), add(v[1], v[2]), fnma(set1(4.0f), v[0], sub(zero(), v[3])));
  } else {
    a = fnma(set1(3.0f), sub(v[1], v[2]), sub(zero(), v[3]));
    b = fnma(set1(3.0f), add(v[1], v[2]), mul(set1(-4.0f), v[0]));
  }
}

template <int M>
inline void transform_input_gradient(const F32 (&v)[M + 2], F32 (&d)[M + 2]) {
  input_gradients<M, 0>(v, d[0], d[M + 1]);
  input_gradients<M, 1>(v, d[1], d[kInputPairs<M>[1][1]]);
  if constexpr (M > 2) input_gradients<M, 2>(v, d[2], d[M]);
}

template <int M>
inline void transform_gradient(const F32 (&y)[M], F32 (&z)[M + 2]) {
  gradient_points<M, 0>(y, z[0], z[3]);
  gradient_points<M, 1>(y, z[1], z[2]);
  if constexpr (M > 2) gradient_points<M, 2>(y, z[4], z[M + 1]);
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
  each<Columns>([&](auto j) CONVKIT_LAMBDA {
    F32 in[Rows], out[ToRows];
    each<Rows>([&](auto i) CONVKIT_LAMBDA { in[i] = from[i][j]; });
    row(in, out);
    each<ToRows>([&](auto i) CONVKIT_LAMBDA { half[i][j] = out[i]; });
  });
  each<ToRows>([&](auto i) CONVKIT_LAMBDA { column(half[i], to[i]); });
}

CONVKIT_END_KERNELS
