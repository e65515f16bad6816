// AVX2 with FMA: eight float lanes, sixteen registers.
#pragma once

#include <immintrin.h>

using F32 = __m256;
using I32 = __m256i;
using Mask = __m256;

constexpr int kLanes = 8;
// The largest register tiles: rows x vectors of accumulators, leaving room for the operands.
constexpr int kTileRows = 6;
constexpr int kTileVectors = 2;
constexpr int kOuterRows = 6;

inline __m256i first_lanes(int n) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

inline F32 zero() { return _mm256_setzero_ps(); }
inline F32 set1(float a) { return _mm256_set1_ps(a); }
inline F32 load(const float* p) { return _mm256_loadu_ps(p); }
inline F32 load_n(const float* p, int n) { return _mm256_maskload_ps(p, first_lanes(n)); }
inline F32 load_n(const float* p, int n, F32 fill) {
  const __m256i lanes = first_lanes(n);
  return _mm256_blendv_ps(fill, _mm256_maskload_ps(p, lanes), _mm256_castsi256_ps(lanes));
}
inline void store(float* p, F32 a) { _mm256_storeu_ps(p, a); }
inline void store_n(float* p, F32 a, int n) { _mm256_maskstore_ps(p, first_lanes(n), a); }

inline F32 add(F32 a, F32 b) { return _mm256_add_ps(a, b); }
inline F32 sub(F32 a, F32 b) { return _mm256_sub_ps(a, b); }
inline F32 mul(F32 a, F32 b) { return _mm256_mul_ps(a, b); }
inline F32 div(F32 a, F32 b) { return _mm256_div_ps(a, b); }
inline F32 fma(F32 a, F32 b, F32 c) { return _mm256_fmadd_ps(a, b, c); }
inline F32 fnma(F32 a, F32 b, F32 c) { return _mm256_fnmadd_ps(a, b, c); }
inline F32 sqrt(F32 a) { return _mm256_sqrt_ps(a); }
inline F32 abs(F32 a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a); }
inline F32 round(F32 a) {
  return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
// As a > b ? a : b, so that a NaN in either operand gives b.
inline F32 max(F32 a, F32 b) { return _mm256_max_ps(a, b); }
inline F32 min(F32 a, F32 b) { return _mm256_min_ps(a, b); }

inline Mask gt(F32 a, F32 b) { return _mm256_cmp_ps(a, b, _CMP_GT_OQ); }
inline Mask unordered(F32 a, F32 b) { return _mm256_cmp_ps(a, b, _CMP_UNORD_Q); }
inline Mask either(Mask a, Mask b) { return _mm256_or_ps(a, b); }
inline Mask without(Mask a, Mask b) { return _mm256_andnot_ps(b, a); }
inline F32 select(Mask m, F32 a, F32 b) { return _mm256_blendv_ps(b, a, m); }

// The lanes of a and b in turn, from the first on; and from the middle on.
inline F32 interleave_low(F32 a, F32 b) {
  return _mm256_permute2f128_ps(_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b), 0x20);
}
inline F32 interleave_high(F32 a, F32 b) {
  return _mm256_permute2f128_ps(_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b), 0x31);
}

inline I32 set1_i(int a) { return _mm256_set1_epi32(a); }
inline I32 select_i(Mask m, I32 a, I32 b) {
  return _mm256_blendv_epi8(b, a, _mm256_castps_si256(m));
}
inline Mask eq_i(I32 a, I32 b) { return _mm256_castsi256_ps(_mm256_cmpeq_epi32(a, b)); }
inline void store_i(int* p, I32 a) { _mm256_storeu_si256(reinterpret_cast<I32*>(p), a); }
inline I32 load_i(const int* p) { return _mm256_loadu_si256(reinterpret_cast<const I32*>(p)); }
// The lanes 0, 2, 4, ... of a times those of b, as unsigned words of 64 bits.
inline I32 even_products(I32 a, I32 b) { return _mm256_mul_epu32(a, b); }

// 2^n for integral n in [-126, 127].
inline F32 exp2_integral(F32 n) {
  const I32 bits =
      _mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23);
  return _mm256_castsi256_ps(bits);
}
