// AVX-512 (F, BW, DQ, VL): sixteen float lanes, thirty-two registers.
#pragma once

#include <immintrin.h>

using F32 = __m512;
using I32 = __m512i;
using Mask = __mmask16;

constexpr int kLanes = 16;
// The largest register tiles: rows x vectors of accumulators, leaving room for the operands.
constexpr int kTileRows = 14;
constexpr int kTileVectors = 2;
constexpr int kOuterRows = 12;

inline Mask first_lanes(int n) { return static_cast<Mask>((1u << n) - 1u); }

inline F32 zero() { return _mm512_setzero_ps(); }
inline F32 set1(float a) { return _mm512_set1_ps(a); }
inline F32 load(const float* p) { return _mm512_loadu_ps(p); }
inline F32 load_n(const float* p, int n) { return _mm512_maskz_loadu_ps(first_lanes(n), p); }
inline F32 load_n(const float* p, int n, F32 fill) {
  return _mm512_mask_loadu_ps(fill, first_lanes(n), p);
}
inline void store(float* p, F32 a) { _mm512_storeu_ps(p, a); }
inline void store_n(float* p, F32 a, int n) { _mm512_mask_storeu_ps(p, first_lanes(n), a); }

inline F32 add(F32 a, F32 b) { return _mm512_add_ps(a, b); }
inline F32 sub(F32 a, F32 b) { return _mm512_sub_ps(a, b); }
inline F32 mul(F32 a, F32 b) { return _mm512_mul_ps(a, b); }
inline F32 div(F32 a, F32 b) { return _mm512_div_ps(a, b); }
inline F32 fma(F32 a, F32 b, F32 c) { return _mm512_fmadd_ps(a, b, c); }
inline F32 fnma(F32 a, F32 b, F32 c) { return _mm512_fnmadd_ps(a, b, c); }
inline F32 sqrt(F32 a) { return _mm512_sqrt_ps(a); }
inline F32 abs(F32 a) { return _mm512_abs_ps(a); }
inline F32 round(F32 a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT); }
// As a > b ? a : b, so that a NaN in either operand gives b.
inline F32 max(F32 a, F32 b) { return _mm512_max_ps(a, b); }
inline F32 min(F32 a, F32 b) { return _mm512_min_ps(a, b); }

inline Mask gt(F32 a, F32 b) { return _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ); }
inline Mask unordered(F32 a, F32 b) { return _mm512_cmp_ps_mask(a, b, _CMP_UNORD_Q); }
inline Mask either(Mask a, Mask b) { return static_cast<Mask>(a | b); }
inline Mask without(Mask a, Mask b) { return static_cast<Mask>(a & ~b); }
inline F32 select(Mask m, F32 a, F32 b) { return _mm512_mask_blend_ps(m, b, a); }

// The lanes of a and b in turn, from the first on; and from the middle on.
inline F32 interleave_low(F32 a, F32 b) {
  const I32 from = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
  return _mm512_permutex2var_ps(a, from, b);
}
inline F32 interleave_high(F32 a, F32 b) {
  const I32 from = _mm512_setr_epi32(8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
  return _mm512_permutex2var_ps(a, from, b);
}

inline I32 set1_i(int a) { return _mm512_set1_epi32(a); }
inline I32 select_i(Mask m, I32 a, I32 b) { return _mm512_mask_blend_epi32(m, b, a); }
inline Mask eq_i(I32 a, I32 b) { return _mm512_cmpeq_epi32_mask(a, b); }
inline void store_i(int* p, I32 a) { _mm512_storeu_si512(p, a); }
inline I32 load_i(const int* p) { return _mm512_loadu_si512(p); }
// The lanes 0, 2, 4, ... of a times those of b, as unsigned words of 64 bits.
inline I32 even_products(I32 a, I32 b) { return _mm512_mul_epu32(a, b); }

// 2^n for integral n in [-126, 127].
inline F32 exp2_integral(F32 n) {
  const I32 bits =
      _mm512_slli_epi32(_mm512_add_epi32(_mm512_cvtps_epi32(n), _mm512_set1_epi32(127)), 23);
  return _mm512_castsi512_ps(bits);
}
