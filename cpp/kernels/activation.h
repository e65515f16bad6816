// Element-wise activations. Whole vectors and tails go through the same operations, so that an
// element's result never depends on its place.
#pragma once

#include "elementary.h"

CONVKIT_BEGIN_KERNELS

// x * f with the limits at infinity: 0 * inf is the limit 0 where f has vanished.
inline F32 times_gate(F32 x, F32 f) { return select(gt(f, zero()), mul(x, f), mul(zero(), f)); }

constexpr float kSqrt2OverPi = 0.79788456f;
constexpr float kGeluCubic = 0.044715f;

// The gate of GELU's tanh form (Hendrycks and Gimpel, 2016): 0.5 (1 + tanh u).
inline F32 gelu_tanh_gate(F32 x) {
  const F32 u = mul(mul(set1(kSqrt2OverPi), x), fma(mul(x, x), set1(kGeluCubic), set1(1.0f)));
  return sigmoid(add(u, u));
}

// SELU's numbers, for which means of 0 and variances of 1 stay so (Klambauer et al., 2017).
constexpr float kSeluAlpha = 1.67326324f;
constexpr float kSeluScale = 1.05070099f;

// log(1 + e^x) from e^-|x|, which never overflows.
inline F32 softplus(F32 x) { return add(max(zero(), x), log1p_unit(exp(sub(zero(), abs(x))))); }

// x / (1 + |x|), 1 or -1 at infinity.
inline F32 softsign(F32 x) {
  const F32 a = min(set1(3.40282347e38f), abs(x));  // a NaN stays
  return div(select(gt(zero(), x), sub(zero(), a), a), add(set1(1.0f), a));
}

// min(max(x + 3, 0), 6) / 6; a NaN stays.
inline F32 hard_sigmoid(F32 x) {
  return div(min(set1(6.0f), max(zero(), add(x, set1(3.0f)))), set1(6.0f));
}

// silu'(x) = s + x s (1 - s) for s = sigmoid(x), where s (1 - s) = e / (1 + e)^2 for e = e^-|x|.
inline F32 silu_slope(F32 x) {
  const F32 e = exp(sub(zero(), abs(x)));
  const F32 d = div(set1(1.0f), add(set1(1.0f), e));
  const F32 s = mul(select(gt(zero(), x), e, set1(1.0f)), d);
  return add(s, times_gate(x, mul(mul(e, d), d)));
}

// tanh(log(1 + e^x)), Mish's gate, as n / d: sums of positive numbers alone, so that nothing
// cancels. The slope is that of x times the gate. Beyond 43 the gate is 1 and the slope as well, to
// float32's last digit; to go further would make denormal squares.
struct MishGate {
  F32 x, e, n, rest, d;

  explicit MishGate(F32 value) : x(min(set1(43.0f), value)) {
    const Mask negative = gt(zero(), x);
    e = exp(sub(zero(), abs(x)));
    n = select(negative, mul(e, add(e, set1(2.0f))), fma(set1(2.0f), e, set1(1.0f)));
    rest = select(negative, set1(2.0f), mul(mul(set1(2.0f), e), e));
    d = add(n, rest);
  }

  F32 gate() const { return div(n, d); }
  F32 slope() const {
    const F32 sigmoid = div(select(gt(zero(), x), e, set1(1.0f)), add(set1(1.0f), e));
    const F32 inverse = div(set1(1.0f), d);
    // 1 - (n / d)^2 = (d - n) (d + n) / d^2.
    const F32 curve = mul(mul(rest, inverse), mul(add(d, n), inverse));
    return add(mul(n, inverse), times_gate(x, mul(sigmoid, curve)));
  }
};

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
      const F32 y = select(gt(x, zero()), x, mul(set1(given.slope), expm1_negative(x)));
      return select(unordered(x, x), x, y);
    }
    case Activation::kBoundedRelu: {
      // Without a slope everything below the threshold is 0, infinity as well; a NaN stays.
      const F32 threshold = set1(given.threshold);
      const F32 below = given.slope == 0.0f ? select(unordered(x, x), x, zero())
                                            : mul(sub(x, threshold), set1(given.slope));
      return select(gt(x, threshold), min(x, set1(given.max_value)), below);
    }
    case Activation::kSilu:
      return times_gate(x, sigmoid(x));
    case Activation::kSelu: {
      const F32 negative = mul(set1(kSeluAlpha), expm1_negative(x));
      return mul(set1(kSeluScale), select(gt(x, zero()), x, negative));
    }
    case Activation::kSoftplus:
      return softplus(x);
    case Activation::kSoftsign:
      return softsign(x);
    case Activation::kHardSigmoid:
      return hard_sigmoid(x);
    case Activation::kHardSilu:
      return times_gate(x, hard_sigmoid(x));
    case Activation::kExponential:
      return exp(x);
    case Activation::kMish:
      return times_gate(x, MishGate(x).gate());
  }
  return x;
}

// v is the input x for GELU, leaky ReLU, SiLU, hard SiLU and Mish, the output y for the others.
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
    case Activation::kSilu:
      return mul(dy, silu_slope(v));
    case Activation::kSelu:
      return mul(dy,
                 select(gt(v, zero()), set1(kSeluScale), add(v, set1(kSeluScale * kSeluAlpha))));
    case Activation::kSoftplus:  // sigmoid(x) = 1 - e^-y
      return mul(dy, sub(zero(), expm1_negative(sub(zero(), v))));
    case Activation::kSoftsign: {
      const F32 rest = sub(one, abs(v));
      return mul(dy, mul(rest, rest));
    }
    case Activation::kHardSigmoid:
      return select(gt(v, zero()), select(gt(one, v), div(dy, set1(6.0f)), zero()), zero());
    case Activation::kHardSilu: {
      const F32 within = fma(v, set1(1.0f / 3.0f), set1(0.5f));
      const F32 bounded = select(gt(v, set1(3.0f)), one, within);
      return mul(dy, select(gt(set1(-3.0f), v), zero(), bounded));
    }
    case Activation::kExponential:
      return mul(dy, v);
    case Activation::kMish:
      return mul(dy, MishGate(v).slope());
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
  CASE(kTanh)                             \
  CASE(kGelu)                             \
  CASE(kGeluTanh)                         \
  CASE(kLeakyRelu)                        \
  CASE(kElu)                              \
  CASE(kBoundedRelu)                      \
  CASE(kSilu)                             \
  CASE(kSelu)                             \
  CASE(kSoftplus)                         \
  CASE(kSoftsign)                         \
  CASE(kHardSigmoid)                      \
  CASE(kHardSilu)                         \
  CASE(kExponential)                      \
  CASE(kMish)

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

CONVKIT_END_KERNELS
