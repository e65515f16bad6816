// Winograd's minimal filtering for 3 x 3 stride-1 convolutions (Lavin and Gray, "Fast algorithms
// for convolutional neural networks", 2016): a tile of M x M outputs is A^T [(G w G^T) . (B^T x B)]
// A, with (M + 2)^2 products in place of 9 M^2. Summed over channels the products are small matrix
// products, one for each point.
//
// The plane is cut into tiles of 5, 4, 3 and 2 without remainder (14 = 5 + 5 + 4), and all share
// one set of transformed weights: the points are 0, h, -h, infinity, 2h, -2h, 3 in this order, a
// tile of M uses the first M + 2 of them, and its B is scaled to the G of M = 4. The tiles' rows
// are packed per point, so that smaller tiles cost only the products that they need.
//
// Rounding errors depend on the points (Barabasz et al., "Error analysis and improving the accuracy
// of Winograd convolution for deep neural networks", 2020). With h = 5/8 they are about half of
// those with h = 1, and 3 was the best seventh point beside it.
#pragma once

#include "gemm.h"

CONVKIT_BEGIN_KERNELS

constexpr float kH = 0.625f, kH2 = kH * kH, kH3 = kH * kH2, kH4 = kH2 * kH2;
constexpr float kLast = 3.0f;

// The transforms work on pairs of points, (0, infinity), (h, -h), (2h, -2h) and 3 alone, whose sums
// share terms.
constexpr int kPairs[4][2] = {{0, 3}, {1, 2}, {4, 5}, {6, 6}};
template <int M>
constexpr int kPairsOf = (M + 3) / 2;
// Odd tiles use only the first point of their last pair.
template <int M, int Pair>
constexpr bool kIsWhole = M % 2 == 0 || Pair < kPairsOf<M> - 1;

// f(pair) for each pair of points of a tile of M.
template <int M, class F>
CONVKIT_INLINE void each_pair(const F& f) {
  each<kPairsOf<M>>(f);
}

// One pair of points of B^T x for a tile of 4.
template <int Pair>
CONVKIT_INLINE void input_points_of_four(const F32 (&d)[6], F32& a, F32& b) {
  if constexpr (Pair == 0) {
    a = fma(set1(4 * kH4), d[0], fnma(set1(5 * kH2), d[2], d[4]));
    b = fma(set1(4 * kH4), d[1], fnma(set1(5 * kH2), d[3], d[5]));
  } else {
    constexpr float kPoint = Pair * kH, kOther2 = Pair == 1 ? 4 * kH2 : kH2;
    const F32 even = fnma(set1(kOther2), d[2], d[4]), odd = fnma(set1(kOther2), d[1], d[3]);
    a = fma(set1(kPoint), odd, even);
    b = fnma(set1(kPoint), odd, even);
  }
}

// One pair of points of B^T x, from M + 2 inputs.
template <int M, int Pair>
inline void input_points(const F32 (&d)[M + 2], F32& a, F32& b) {
  if constexpr (M == 5) {
    // The last point's factor x - 3, taken out of the others' polynomials, leaves those of a tile
    // of 4, on six differences of the seven inputs.
    if constexpr (Pair == 3) {
      a = fma(set1(4 * kH4), d[1], fnma(set1(5 * kH2), d[3], d[5]));
    } else {
      F32 e[6];
      each<6>([&](auto k) CONVKIT_LAMBDA { e[k] = fnma(set1(kLast), d[k], d[k + 1]); });
      input_points_of_four<Pair>(e, a, b);
      a = mul(set1(1.0f / (Pair * kH - kLast)), a);
      if constexpr (Pair > 0) b = mul(set1(1.0f / (-Pair * kH - kLast)), b);
    }
  } else if constexpr (M == 4) {
    input_points_of_four<Pair>(d, a, b);
  } else if constexpr (M == 3 && Pair == 0) {
    const F32 near = fnma(set1(kH2), d[1], d[3]), far = fnma(set1(kH2), d[0], d[2]);
    a = fnma(set1(4 * kH2), far, mul(set1(2 * kH), near));
    b = fnma(set1(2 * kH), near, fnma(set1(kH2), d[2], d[4]));
  } else if constexpr (M == 3 && Pair == 1) {
    const F32 near = fnma(set1(2 * kH), d[2], d[3]), far = fnma(set1(2 * kH), d[1], d[2]);
    a = mul(set1(3 * kH), fma(set1(kH), far, near));
    b = mul(set1(kH), fnma(set1(kH), far, near));
  } else if constexpr (M == 3) {
    a = mul(set1(4 * kH), fnma(set1(kH2), d[1], d[3]));
  } else if constexpr (Pair == 0) {
    a = fma(set1(4 * kH4), d[0], mul(set1(-4 * kH2), d[2]));
    b = fnma(set1(kH2), d[1], d[3]);
  } else {
    const F32 even = mul(set1(-3 * kH2), d[2]);
    a = fnma(set1(3 * kH3), d[1], even);
    b = fma(set1(3 * kH3), d[1], even);
  }
}

// y[First] + f y[First + 2] + f^2 y[First + 4], as far as there are M.
template <int M, int First>
CONVKIT_INLINE F32 every_second(const F32 (&y)[M], float f) {
  if constexpr (First + 2 >= M) {
    return y[First];
  } else {
    F32 sum = y[First + 2];
    if constexpr (First + 4 < M) sum = fma(set1(f), y[First + 4], sum);
    return fma(set1(f), sum, y[First]);
  }
}

// One pair of points of A dy, from M output gradients.
template <int M, int Pair>
inline void gradient_points(const F32 (&y)[M], F32& a, F32& b) {
  if constexpr (Pair == 0) {
    a = y[0];
    b = y[M - 1];
  } else {
    constexpr float kPoint = Pair == 3 ? kLast : Pair * kH;
    const F32 even = every_second<M, 0>(y, kPoint * kPoint);
    const F32 odd = every_second<M, 1>(y, kPoint * kPoint);
    a = fma(set1(kPoint), odd, even);
    if constexpr (kIsWhole<M, Pair>) b = fnma(set1(kPoint), odd, even);
  }
}

// f(pair, a, b) for each pair of a tile of M, with their places in `to`.
template <int M, const int (&Pairs)[4][2], class F>
CONVKIT_INLINE void fill_pairs(F32 (&to)[M + 2], const F& f) {
  each_pair<M>([&](auto pair) CONVKIT_LAMBDA {
    constexpr int kPair = decltype(pair)::value;
    F32 none;
    f(pair, to[Pairs[kPair][0]], kIsWhole<M, kPair> ? to[Pairs[kPair][1] % (M + 2)] : none);
  });
}

template <int M>
inline void transform_input(const F32 (&d)[M + 2], F32 (&t)[M + 2]) {
  fill_pairs<M, kPairs>(t, [&](auto pair, F32& a, F32& b)
                               CONVKIT_LAMBDA { input_points<M, decltype(pair)::value>(d, a, b); });
}

template <int M>
inline void transform_gradient(const F32 (&y)[M], F32 (&z)[M + 2]) {
  fill_pairs<M, kPairs>(z, [&](auto pair, F32& a, F32& b) CONVKIT_LAMBDA {
    gradient_points<M, decltype(pair)::value>(y, a, b);
  });
}

// The gradients of M + 2 inputs, in pairs that share terms; without the last of an odd number.
template <int M>
constexpr int kInputPairs[4][2] = {
    {0, M + 1}, {1, M == 2 || M == 5 ? 2 : 3}, {M == 5 ? 3 : 2, 4}, {5, 5}};

// Input gradient K of a tile of 4, but for the first and the last.
template <int K>
CONVKIT_INLINE F32 input_gradient_of_four(const F32 (&v)[6]) {
  if constexpr (K % 2 == 0) {
    const F32 near = add(v[1], v[2]), far = add(v[4], v[5]);
    if constexpr (K == 4) return add(v[0], add(near, far));
    return fnma(set1(5 * kH2), v[0], fnma(set1(4 * kH2), near, mul(set1(-kH2), far)));
  } else {
    const F32 near = sub(v[1], v[2]), far = sub(v[4], v[5]);
    if constexpr (K == 1)
      return fma(set1(4 * kH4), v[3], fnma(set1(4 * kH3), near, mul(set1(-2 * kH3), far)));
    return fnma(set1(5 * kH2), v[3], fma(set1(kH), near, mul(set1(2 * kH), far)));
  }
}

// One pair of B v, the adjoint of input_points, from M + 2 points.
template <int M, int Pair>
inline void input_gradients(const F32 (&v)[M + 2], F32& a, F32& b) {
  if constexpr (Pair == 0) {
    a = mul(set1(4 * kH4), v[0]);
    b = v[3];
  } else if constexpr (M == 5) {
    // Each of the six differences' gradients goes to two neighbours.
    F32 u[6] = {mul(set1(1.0f / -kLast), v[0]), zero(), zero(), v[3], zero(), zero()};
    u[1] = mul(set1(1.0f / (kH - kLast)), v[1]);
    u[2] = mul(set1(1.0f / (-kH - kLast)), v[2]);
    u[4] = mul(set1(1.0f / (2 * kH - kLast)), v[4]);
    u[5] = mul(set1(1.0f / (-2 * kH - kLast)), v[5]);
    if constexpr (Pair == 1) {
      const F32 second = input_gradient_of_four<1>(u);
      a = fnma(set1(kLast), second, fma(set1(4 * kH4), v[6], mul(set1(4 * kH4), u[0])));
      b = fnma(set1(kLast), input_gradient_of_four<2>(u), second);
    } else if constexpr (Pair == 2) {
      const F32 fourth = input_gradient_of_four<3>(u);
      a = fnma(set1(kLast), fourth, fnma(set1(5 * kH2), v[6], input_gradient_of_four<2>(u)));
      b = fnma(set1(kLast), input_gradient_of_four<4>(u), fourth);
    } else {
      a = fnma(set1(kLast), v[3], add(input_gradient_of_four<4>(u), v[6]));
    }
  } else if constexpr (M == 4) {
    a = input_gradient_of_four<kInputPairs<4>[Pair][0]>(v);
    b = input_gradient_of_four<kInputPairs<4>[Pair][1]>(v);
  } else if constexpr (M == 3 && Pair == 1) {
    const F32 far = fma(set1(2.0f), v[4], sub(v[0], v[3]));
    a = mul(set1(-2 * kH3), add(far, fma(set1(3.0f), v[1], sub(zero(), v[2]))));
    b = mul(set1(kH), fma(set1(2.0f), far, fma(set1(3.0f), v[1], v[2])));
  } else if constexpr (M == 3) {
    a = mul(set1(-kH2), fma(set1(4.0f), v[0], fma(set1(3.0f), add(v[1], v[2]), v[3])));
  } else {
    a = fnma(set1(3 * kH3), sub(v[1], v[2]), mul(set1(-kH2), v[3]));
    b = fnma(set1(3 * kH2), add(v[1], v[2]), mul(set1(-4 * kH2), v[0]));
  }
}

template <int M>
inline void transform_input_gradient(const F32 (&v)[M + 2], F32 (&d)[M + 2]) {
  fill_pairs<M, kInputPairs<M>>(d, [&](auto pair, F32& a, F32& b) CONVKIT_LAMBDA {
    input_gradients<M, decltype(pair)::value>(v, a, b);
  });
}

// a to the power of k.
constexpr float power(float a, int k) { return k == 0 ? 1.0f : a * power(a, k - 1); }

// One axis of A^T m, M + 2 points to M outputs, of which y[k] is yet to be multiplied by h^k:
// the sum of p^k m[p] over the points, and infinity's in the last.
template <int M>
inline void transform_output(const F32 (&m)[M + 2], F32 (&y)[M]) {
  const F32 sum = add(m[1], m[2]), difference = sub(m[1], m[2]);
  F32 far_sum = m[M == 2 ? 0 : 4], far_difference = far_sum;
  if constexpr (M > 3) {
    far_sum = add(m[4], m[5]);
    far_difference = sub(m[4], m[5]);
  }
  each<M>([&](auto index) CONVKIT_LAMBDA {
    constexpr int k = decltype(index)::value;
    F32 v = k % 2 ? difference : sum;
    if constexpr (M > 2 && k == 0) v = add(v, far_sum);
    if constexpr (M > 2 && k > 0)
      v = fma(set1(power(2.0f, k)), k % 2 ? far_difference : far_sum, v);
    if constexpr (M == 5) v = fma(set1(power(kLast / kH, k)), m[M + 1], v);
    if constexpr (k == 0) v = add(m[0], v);
    if constexpr (k == M - 1) v = fma(set1(1.0f / power(kH, k)), m[3], v);
    y[k] = v;
  });
}

// What is left of both axes: h^k for k = i + j.
constexpr float kPowersOfH[2 * kMaxTile - 1] = {1.0f,         power(kH, 1), power(kH, 2),
                                                power(kH, 3), power(kH, 4), power(kH, 5),
                                                power(kH, 6), power(kH, 7), power(kH, 8)};

// One axis of G w: three weights to all points; and its transpose for the gradient. A point's
// weights are divided by the product of its distances from the points of a tile of 4.
constexpr float kNear = -6 * kH4, kFar = 24 * kH4;
constexpr float kLastDistances = kLast * (kLast * kLast - kH2) * (kLast * kLast - 4 * kH2);

template <int Points>
inline void transform_weights(const F32 (&g)[3], F32 (&u)[Points]) {
  const F32 even = mul(set1(1 / kNear), fma(set1(kH2), g[2], g[0]));
  const F32 far_even = mul(set1(1 / kFar), fma(set1(4 * kH2), g[2], g[0]));
  u[0] = mul(set1(1 / (4 * kH4)), g[0]);
  u[1] = fma(set1(kH / kNear), g[1], even);
  u[2] = fnma(set1(kH / kNear), g[1], even);
  u[3] = g[2];
  u[4] = fma(set1(2 * kH / kFar), g[1], far_even);
  u[5] = fnma(set1(2 * kH / kFar), g[1], far_even);
  if constexpr (Points == kMaxPoints) {
    const F32 last = fma(set1(kLast), fma(set1(kLast), g[2], g[1]), g[0]);
    u[kMaxPoints - 1] = mul(set1(1 / kLastDistances), last);
  }
}

template <int Points>
inline void transform_weight_gradient(const F32 (&u)[Points], F32 (&g)[3]) {
  const F32 even = add(u[1], u[2]), far_even = add(u[4], u[5]);
  const F32 odd = sub(u[1], u[2]), far_odd = sub(u[4], u[5]);
  g[0] = fma(set1(1 / (4 * kH4)), u[0], fma(set1(1 / kNear), even, mul(set1(1 / kFar), far_even)));
  g[1] = fma(set1(2 * kH / kFar), far_odd, mul(set1(kH / kNear), odd));
  g[2] = fma(set1(kH2 / kNear), even, fma(set1(4 * kH2 / kFar), far_even, u[3]));
  if constexpr (Points == kMaxPoints) {
    const F32 last = u[kMaxPoints - 1];
    g[0] = fma(set1(1 / kLastDistances), last, g[0]);
    g[1] = fma(set1(kLast / kLastDistances), last, g[1]);
    g[2] = fma(set1(kLast * kLast / kLastDistances), last, g[2]);
  }
}

CONVKIT_END_KERNELS
