// Elementary functions of vectors: exponentials, and what is made of them.
#pragma once

#include "simd.h"

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

// e^x - 1 for x in [-0.5, 0] without cancellation: x + x^2/2 + ... (Cephes expm1's range); for
// smaller x that of -0.5.
inline F32 expm1_near(F32 x) {
  const F32 z = max(set1(-0.5f), x);
  F32 p = set1(1.9875691500e-4f);
  p = fma(p, z, set1(1.3981999507e-3f));
  p = fma(p, z, set1(8.3334519073e-3f));
  p = fma(p, z, set1(4.1665795894e-2f));
  p = fma(p, z, set1(1.6666665459e-1f));
  p = fma(p, z, set1(5.0000001201e-1f));
  return fma(p, mul(z, z), z);
}

// e^x - 1 for x <= 0.
inline F32 expm1_negative(F32 x) {
  const F32 y = select(gt(x, set1(-0.5f)), expm1_near(x), sub(exp(x), set1(1.0f)));
  return select(unordered(x, x), x, y);
}

// log(1 + e) for e in [0, 1] with a relative error below 2e-7: 2 artanh(s) for s = e / (2 + e), at
// most 1/3, a polynomial of degree 3 in s^2 interpolated at Chebyshev's points.
inline F32 log1p_unit(F32 e) {
  const F32 s = div(e, add(set1(2.0f), e)), z = mul(s, s);
  F32 p = set1(1.3425749e-1f);
  p = fma(p, z, set1(1.4118310e-1f));
  p = fma(p, z, set1(2.0003780e-1f));
  p = fma(p, z, set1(3.3333320e-1f));
  const F32 twice = add(s, s);
  return fma(mul(p, z), twice, twice);
}

CONVKIT_END_KERNELS
