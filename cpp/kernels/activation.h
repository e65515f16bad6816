// Element-wise activations and softmax. Whole vectors and tails go through the same operations, so
// that an element's result never depends on its place.
#pragma once

#include "../shapes.h"
#include "pairwise.h"

CONVKIT_BEGIN_KERNELS

// e^x with a relative error below 2e-7: x = n ln 2 + r, a degree-6 polynomial in r (Cephes expf).
// Results below the smallest normal number are zero; NaN stays NaN.
inline F32 exp(F32 x) {
  const F32 top = set1(88.72283f), bottom = set1(-87.33654f);
  const F32 clamped = min(max(x, bottom), top);
  const F32 n = round(mul(clamped, set1(1.44269504f)));
  F32 r = fnma(n, set1(0.693359375f), clamped);
  r = fma(n, set1(2.12194440e-4f), r);
  F32 p = set1(1.9875691500e-4f);
  p = fma(p, r, set1(1.3981999507e-3f));
  p = fma(p, r, set1(8.3334519073e-3f));
  p = fma(p, r, set1(4.1665795894e-2f));
  p = fma(p, r, set1(1.6666665459e-1f));
  p = fma(p, r, set1(5.0000001201e-1f));
  p = add(fma(p, mul(r, r), r), set1(1.0f));
  // 2^n in two halves, for n = 128 is out of range in one.
  const F32 half = round(mul(n, set1(0.5f)));
  F32 y = mul(mul(p, exp2_integral(half)), exp2_integral(sub(n, half)));
  y = select(gt(bottom, x), zero(), y);
  y = select(gt(x, top), set1(__builtin_inff()), y);
  return select(unordered(x, x), x, y);
}

inline F32 sigmoid(F32 x) {
  // e^-|x| never overflows; both signs share it.
  const F32 e = exp(sub(zero(), abs(x)));
  const F32 d = add(set1(1.0f), e);
  return div(select(gt(zero(), x), e, set1(1.0f)), d);
}

inline F32 tanh(F32 x) {
  // Below 0.625 a polynomial (Cephes tanhf), above (1 - e^-2|x|) / (1 + e^-2|x|): no cancellation.
  const F32 a = abs(x), z = mul(x, x);
  F32 p = set1(-5.70498872745e-3f);
  p = fma(p, z, set1(2.06390887954e-2f));
  p = fma(p, z, set1(-5.37397155531e-2f));
  p = fma(p, z, set1(1.33314422036e-1f));
  p = fma(p, z, set1(-3.33332819422e-1f));
  const F32 small = fma(mul(p, z), x, x);
  const F32 e = exp(mul(a, set1(-2.0f)));
  const F32 big = div(sub(set1(1.0f), e), add(set1(1.0f), e));
  const F32 y = select(gt(a, set1(0.625f)), select(gt(zero(), x), sub(zero(), big), big), small);
  return select(unordered(x, x), x, y);
}

// erfc(z) for z >= 0 with a fractional error below 1.2e-7 (Press et al., Numerical Recipes,
// section 6.2, Chebyshev fit).
inline F32 erfc_positive(F32 z) {
  const F32 t = div(set1(1.0f), fma(set1(0.5f), z, set1(1.0f)));
  F32 p = set1(0.17087277f);
  p = fma(p, t, set1(-0.82215223f));
  p = fma(p, t, set1(1.48851587f));
  p = fma(p, t, set1(-1.13520398f));
  p = fma(p, t, set1(0.27886807f));
  p = fma(p, t, set1(-0.18628806f));
  p = fma(p, t, set1(0.09678418f));
  p = fma(p, t, set1(0.37409196f));
  p = fma(p, t, set1(1.00002368f));
  p = fma(p, t, set1(-1.26551223f));
  return mul(t, exp(fnma(z, z, p)));
}

// The standard normal distribution function.
inline F32 normal_cdf(F32 x) {
  const F32 tail = mul(set1(0.5f), erfc_positive(mul(abs(x), set1(0.70710678f))));
  const F32 y = select(gt(zero(), x), tail, sub(set1(1.0f), tail));
  return select(unordered(x, x), x, y);
}

// x * f with the limits at infinity: 0 * inf is the limit 0 where f has vanished.
inline F32 times_gate(F32 x, F32 f) { return select(gt(f, zero()), mul(x, f), mul(zero(), f)); }

constexpr float kSqrt2OverPi = 0.79788456f;
constexpr float kGeluCubic = 0.044715f;

// The gate of GELU's tanh form (Hendrycks and Gimpel, 2016): 0.5 (1 + tanh u).
inline F32 gelu_tanh_gate(F32 x) {
  const F32 u = mul(mul(set1(kSqrt2OverPi), x), fma(mul(x, x), set1(kGeluCubic), set1(1.0f)));
  return sigmoid(add(u, u));
}

inline F32 activate(Activation kind, F32 x, ActivationParameters given) {
  switch (kind) {
    case Activation::kRelu:
      return max(zero(), x);  // a NaN stays
    case Activation::kSigmoid:
      return select(unordered(x, x), x, sigmoid(x));
    case Activation::kTanh:
      return tanh(x);
    case Activation::kGelu:
      return times_gate(x, normal_cdf(x));
    case Activation::kGeluTanh:
      return times_gate(x, select(unordered(x, x), x, gelu_tanh_gate(x)));
    case Activation::kLeakyRelu:
      return select(gt(x, zero()), x, mul(x, set1(given.slope)));
    case Activation::kElu: {
      // Near zero e^x - 1 cancels: x + x^2/2 + ... (Cephes expm1's range) keeps the digits.
      const F32 z = max(set1(-0.5f), x);
      F32 p = set1(1.9875691500e-4f);
      p = fma(p, z, set1(1.3981999507e-3f));
      p = fma(p, z, set1(8.3334519073e-3f));
      p = fma(p, z, set1(4.1665795894e-2f));
      p = fma(p, z, set1(1.6666665459e-1f));
      p = fma(p, z, set1(5.0000001201e-1f));
      const F32 near = fma(p, mul(z, z), z);
      const F32 negative = select(gt(x, set1(-0.5f)), near, sub(exp(x), set1(1.0f)));
      const F32 y = select(gt(x, zero()), x, mul(set1(given.slope), negative));
      return select(unordered(x, x), x, y);
    }
    case Activation::kBoundedRelu: {
      // Without a slope everything below the threshold is 0, infinity as well; a NaN stays.
      const F32 threshold = set1(given.threshold);
      const F32 below = given.slope == 0.0f ? select(unordered(x, x), x, zero())
                                            : mul(sub(x, threshold), set1(given.slope));
      return select(gt(x, threshold), min(x, set1(given.max_value)), below);
    }
  }
  return x;
}

// v is the output y for both ReLUs, sigmoid, tanh and ELU, the input x for the others.
inline F32 activate_backward(Activation kind, F32 dy, F32 v, ActivationParameters given) {
  const F32 one = set1(1.0f);
  switch (kind) {
    case Activation::kRelu:
      return select(gt(v, zero()), dy, zero());
    case Activation::kSigmoid:
      return mul(dy, mul(v, sub(one, v)));
    case Activation::kTanh:
      return mul(dy, fnma(v, v, one));
    case Activation::kGelu: {
      const F32 density =
          mul(set1(0.39894228f), exp(mul(set1(-0.5f), mul(v, v))));  // of the standard normal
      return mul(dy, add(normal_cdf(v), times_gate(v, density)));
    }
    case Activation::kGeluTanh: {
      const F32 gate = gelu_tanh_gate(v);
      const F32 slope =
          mul(set1(2.0f * kSqrt2OverPi), fma(mul(v, v), set1(3.0f * kGeluCubic), one));
      const F32 curve = mul(gate, sub(one, gate));
      return mul(dy,
                 add(gate, times_gate(v, select(gt(curve, zero()), mul(curve, slope), zero()))));
    }
    case Activation::kLeakyRelu:
      return select(gt(v, zero()), dy, mul(dy, set1(given.slope)));
    case Activation::kElu:
      return select(gt(v, zero()), dy, mul(dy, add(v, set1(given.slope))));
    case Activation::kBoundedRelu: {
      // What passed is above 0, since the threshold is not below it, and what was cut is the bound.
      const F32 below = given.slope == 0.0f ? zero() : mul(dy, set1(given.slope));
      const F32 passed = select(gt(v, zero()), dy, below);
      if (given.max_value == __builtin_inff()) return passed;
      return select(gt(set1(given.max_value), v), passed, zero());
    }
  }
  return dy;
}

template <Activation Kind>
inline void activation_loop(const float* x, float* y, std::int64_t n, ActivationParameters given) {
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) store(y + i, activate(Kind, load(x + i), given));
  if (i < n) store_part(y + i, activate(Kind, load_part(x + i, n - i), given), n - i);
}

template <Activation Kind>
inline void activation_backward_loop(const float* dy, const float* v, float* dx, std::int64_t n,
                                     ActivationParameters given) {
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    store(dx + i, activate_backward(Kind, load(dy + i), load(v + i), given));
  if (i < n) {
    const F32 g = load_part(dy + i, n - i), a = load_part(v + i, n - i);
    store_part(dx + i, activate_backward(Kind, g, a, given), n - i);
  }
}

#define CONVKIT_FOR_EACH_ACTIVATION(CASE) \
  CASE(kRelu)                             \
  CASE(kSigmoid)                          \
  CASE(kTanh) CASE(kGelu) CASE(kGeluTanh) CASE(kLeakyRelu) CASE(kElu) CASE(kBoundedRelu)

void activation_forward(Activation kind, const float* x, float* y, std::int64_t n,
                        ActivationParameters given) {
  switch (kind) {
#define CONVKIT_CASE(K) \
  case Activation::K:   \
    return activation_loop<Activation::K>(x, y, n, given);
    CONVKIT_FOR_EACH_ACTIVATION(CONVKIT_CASE)
#undef CONVKIT_CASE
  }
}

void activation_backward(Activation kind, const float* dy, const float* v, float* dx,
                         std::int64_t n, ActivationParameters given) {
  switch (kind) {
#define CONVKIT_CASE(K) \
  case Activation::K:   \
    return activation_backward_loop<Activation::K>(dy, v, dx, n, given);
    CONVKIT_FOR_EACH_ACTIVATION(CONVKIT_CASE)
#undef CONVKIT_CASE
  }
}
#undef CONVKIT_FOR_EACH_ACTIVATION

// y = e^(x - peak) for k values; returns their sum.
template <class Sum>
inline float exponentials(const float* x, float* y, std::int64_t k, float peak) {
  const F32 lowest = set1(-__builtin_inff());
  Sum total;
  for (std::int64_t j = 0; j < k; j += kLanes) {
    const F32 v = k - j >= kLanes ? load(x + j) : load_n(x + j, static_cast<int>(k - j), lowest);
    const F32 e = exp(sub(v, set1(peak)));
    store_part(y + j, e, k - j);
    total.add_value(e);
  }
  return sum_lanes(total.total());
}

// The sum of k products.
template <class Sum>
inline float products(const float* a, const float* b, std::int64_t k) {
  Sum total;
  for (std::int64_t j = 0; j < k; j += kLanes)
    total.add_product(load_part(a + j, k - j), load_part(b + j, k - j));
  return sum_lanes(total.total());
}

// Rows of k classes: y = softmax(x); the row's maximum and the sum of e^(x - maximum), from which
// a loss gets its log-sum-exp, go to peak and sum where those are given.
void softmax_forward(const float* x, float* y, std::int64_t rows, std::int64_t k, float* peak,
                     float* sum) {
  const F32 lowest = set1(-__builtin_inff());
  for (std::int64_t r = 0; r < rows; ++r, x += k, y += k) {
    float lanes[kLanes];
    F32 top = lowest;
    for (std::int64_t j = 0; j < k; j += kLanes) {
      const F32 v = k - j >= kLanes ? load(x + j) : load_n(x + j, static_cast<int>(k - j), lowest);
      top = max(top, v);
    }
    store(lanes, top);
    float m = lanes[0];
    for (int i = 1; i < kLanes; ++i) m = lanes[i] > m ? lanes[i] : m;
    // Apart for many classes: to count the terms costs time.
    const float s = k <= kSumBlock * kLanes ? exponentials<ShortSum>(x, y, k, m)
                                            : exponentials<RunningSum<kSumBlock>>(x, y, k, m);
    for (std::int64_t j = 0; j < k; j += kLanes)
      store_part(y + j, div(load_part(y + j, k - j), set1(s)), k - j);
    if (peak) {
      peak[r] = m;
      sum[r] = s;
    }
  }
}

// dx = y * (dy - sum(dy * y)) for each row.
void softmax_backward(const float* dy, const float* y, float* dx, std::int64_t rows,
                      std::int64_t k) {
  for (std::int64_t r = 0; r < rows; ++r, dy += k, y += k, dx += k) {
    const F32 s = set1(k <= kSumBlock * kLanes ? products<ShortSum>(dy, y, k)
                                               : products<RunningSum<kSumBlock>>(dy, y, k));
    for (std::int64_t j = 0; j < k; j += kLanes) {
      const F32 d = sub(load_part(dy + j, k - j), s);
      store_part(dx + j, mul(load_part(y + j, k - j), d), k - j);
    }
  }
}

CONVKIT_END_KERNELS
