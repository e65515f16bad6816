// Normally distributed numbers as a pure function of (seed, offset, position), by the method of Box
// and Muller ("A note on the generation of random normal deviates", 1958). Every step is a single
// addition, multiplication or root, so that all instruction sets give the same bits.
#pragma once

#include "philox.h"

CONVKIT_BEGIN_KERNELS

// A number in [1, 2) of a random word's upper 23 bits.
CONVKIT_INLINE F32 one_to_two(F32 word) {
  return reinterpret_cast<F32>((reinterpret_cast<U32>(word) >> 9) | 0x3F800000u);
}

// ... c[1] x + c[0], without fused multiply-adds.
template <int Terms>
CONVKIT_INLINE F32 polynomial(F32 x, const float (&c)[Terms]) {
  F32 sum = set1(c[Terms - 1]);
  for (int i = Terms - 2; i >= 0; --i) sum = add(mul(sum, x), set1(c[i]));
  return sum;
}

// The natural logarithm of normal numbers, with the polynomial of Cephes (Moshier, 1992): within
// two units in the last place.
CONVKIT_INLINE F32 logarithm(F32 a) {
  constexpr float c[] = {3.3333331174e-1f,  -2.4999993993e-1f, 2.0000714765e-1f,
                         -1.6668057665e-1f, 1.4249322787e-1f,  -1.2420140846e-1f,
                         1.1676998740e-1f,  -1.1514610310e-1f, 7.0376836292e-2f};
  const U32 bits = reinterpret_cast<U32>(a);
  // The mantissa in [1, 2), and the exponent as a number: 2^23 + e has e in its last bits.
  F32 m = reinterpret_cast<F32>((bits & 0x007FFFFFu) | 0x3F800000u);
  F32 e = sub(reinterpret_cast<F32>((bits >> 23) | 0x4B000000u), set1(8388608.0f + 127.0f));
  const Mask large = gt(m, set1(1.41421356f));
  m = select(large, mul(m, set1(0.5f)), m);
  e = select(large, add(e, set1(1.0f)), e);
  const F32 x = sub(m, set1(1.0f)), square = mul(x, x);
  F32 y = mul(mul(polynomial(x, c), x), square);
  y = add(y, mul(e, set1(-2.12194440e-4f)));
  y = sub(y, mul(square, set1(0.5f)));
  return add(add(x, y), mul(e, set1(0.693359375f)));
}

// The sine and cosine of `turns` whole turns, within [-0.5, 0.5], with Cephes's polynomials.
CONVKIT_INLINE void sine_cosine(F32 turns, F32* sine, F32* cosine) {
  constexpr float sines[] = {-1.6666654611e-1f, 8.3321608736e-3f, -1.9515295891e-4f};
  constexpr float cosines[] = {4.166664568298827e-2f, -1.388731625493765e-3f,
                               2.443315711809948e-5f};
  // The nearest quarter turn is in the last bits of 1.5 * 2^23 + 4 turns.
  const F32 shifted = add(mul(turns, set1(4.0f)), set1(12582912.0f));
  const F32 quarter = mul(sub(shifted, set1(12582912.0f)), set1(0.25f));
  const U32 number = reinterpret_cast<U32>(shifted) & 3u;
  const F32 angle = mul(sub(turns, quarter), set1(6.28318531f)), square = mul(angle, angle);
  const F32 s = add(mul(mul(polynomial(square, sines), square), angle), angle);
  const F32 bend = mul(mul(polynomial(square, cosines), square), square);
  const F32 c = add(sub(bend, mul(square, set1(0.5f))), set1(1.0f));
  // A quarter turn more makes (s, c) to (c, -s).
  const U32 odd = reinterpret_cast<U32>((number & 1u) != 0u);
  const U32 from_s = reinterpret_cast<U32>(s), from_c = reinterpret_cast<U32>(c);
  const U32 sign_of_sine = (number & 2u) << 30;
  const U32 sign_of_cosine = ((number + 1u) & 2u) << 30;
  *sine = reinterpret_cast<F32>(((from_c & odd) | (from_s & ~odd)) ^ sign_of_sine);
  *cosine = reinterpret_cast<F32>(((from_s & odd) | (from_c & ~odd)) ^ sign_of_cosine);
}

// Normal numbers of mean 0 and deviation 1. A counter's words a, b, c, d make four: with the radius
// of a and the angle of b the cosine's and the sine's, then with those of c and d. Their sizes are
// at most sqrt(46 ln 2), 5.65.
CONVKIT_INLINE void normal_numbers(U64 first, std::uint64_t offset, const PhiloxKeys& keys,
                                   F32 (&numbers)[kDrawVectors]) {
  F32 pairs[kDrawVectors];
  philox_pairs(first, offset, keys, pairs);
  for (int j = 0; j < kSideBySide; ++j) {
    const F32 share = sub(set1(2.0f), one_to_two(pairs[2 * j]));  // in (0, 1]
    const F32 radius = sqrt(mul(logarithm(share), set1(-2.0f)));
    F32 sine, cosine;
    sine_cosine(sub(one_to_two(pairs[2 * j + 1]), set1(1.5f)), &sine, &cosine);
    sine = mul(sine, radius), cosine = mul(cosine, radius);
    numbers[2 * j] = interleave_low(cosine, sine);
    numbers[2 * j + 1] = interleave_high(cosine, sine);
  }
}

CONVKIT_END_KERNELS
