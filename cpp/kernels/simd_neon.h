// AArch64 NEON: four float lanes, thirty-two registers.
#pragma once

#include <arm_neon.h>

using F32 = float32x4_t;
using I32 = int32x4_t;
using Mask = uint32x4_t;

constexpr int kLanes = 4;
// The largest register tiles: rows x vectors of accumulators, leaving room for the operands. GCC
// schedules all of a step's scalars to the front, each into a register of its own, so that a sixth
// row of accumulators would not find room: 5 x 4 + 4 + 5 are 29.
constexpr int kTileRows = 5;
constexpr int kTileVectors = 4;
constexpr int kOuterRows = 5;

inline F32 zero() { return vdupq_n_f32(0.0f); }
inline F32 set1(float a) { return vdupq_n_f32(a); }
inline F32 load(const float* p) { return vld1q_f32(p); }
inline F32 load_n(const float* p, int n, F32 fill) {
  if (n >= 4) return vld1q_f32(p);
  if (n > 0) fill = vld1q_lane_f32(p, fill, 0);
  if (n > 1) fill = vld1q_lane_f32(p + 1, fill, 1);
  if (n > 2) fill = vld1q_lane_f32(p + 2, fill, 2);
  return fill;
}
inline F32 load_n(const float* p, int n) { return load_n(p, n, zero()); }
inline void store(float* p, F32 a) { vst1q_f32(p, a); }
inline void store_n(float* p, F32 a, int n) {
  if (n >= 4) return vst1q_f32(p, a);
  if (n > 0) vst1q_lane_f32(p, a, 0);
  if (n > 1) vst1q_lane_f32(p + 1, a, 1);
  if (n > 2) vst1q_lane_f32(p + 2, a, 2);
}

inline F32 add(F32 a, F32 b) { return vaddq_f32(a, b); }
inline F32 sub(F32 a, F32 b) { return vsubq_f32(a, b); }
inline F32 mul(F32 a, F32 b) { return vmulq_f32(a, b); }
inline F32 div(F32 a, F32 b) { return vdivq_f32(a, b); }
inline F32 fma(F32 a, F32 b, F32 c) { return vfmaq_f32(c, a, b); }
inline F32 fnma(F32 a, F32 b, F32 c) { return vfmsq_f32(c, a, b); }
inline F32 sqrt(F32 a) { return vsqrtq_f32(a); }
inline F32 abs(F32 a) { return vabsq_f32(a); }
inline F32 round(F32 a) { return vrndnq_f32(a); }

inline Mask gt(F32 a, F32 b) { return vcgtq_f32(a, b); }
inline Mask unordered(F32 a, F32 b) {
  return vmvnq_u32(vandq_u32(vceqq_f32(a, a), vceqq_f32(b, b)));
}
inline Mask either(Mask a, Mask b) { return vorrq_u32(a, b); }
inline Mask without(Mask a, Mask b) { return vbicq_u32(a, b); }
inline F32 select(Mask m, F32 a, F32 b) { return vbslq_f32(m, a, b); }
// As a > b ? a : b, so that a NaN in either operand gives b.
inline F32 max(F32 a, F32 b) { return select(gt(a, b), a, b); }
inline F32 min(F32 a, F32 b) { return select(gt(b, a), a, b); }

// The lanes of a and b in turn, from the first on; and from the middle on.
inline F32 interleave_low(F32 a, F32 b) { return vzip1q_f32(a, b); }
inline F32 interleave_high(F32 a, F32 b) { return vzip2q_f32(a, b); }

inline I32 set1_i(int a) { return vdupq_n_s32(a); }
inline I32 select_i(Mask m, I32 a, I32 b) { return vbslq_s32(m, a, b); }
inline Mask eq_i(I32 a, I32 b) { return vceqq_s32(a, b); }
inline void store_i(int* p, I32 a) { vst1q_s32(p, a); }
inline I32 load_i(const int* p) { return vld1q_s32(p); }
// The lanes 0, 2, 4, ... of a times those of b, as unsigned words of 64 bits.
inline I32 even_products(I32 a, I32 b) {
  return vreinterpretq_s32_u64(
      vmull_u32(vmovn_u64(vreinterpretq_u64_s32(a)), vmovn_u64(vreinterpretq_u64_s32(b))));
}

// 2^n for integral n in [-126, 127].
inline F32 exp2_integral(F32 n) {
  const I32 bits = vshlq_n_s32(vaddq_s32(vcvtq_s32_f32(n), vdupq_n_s32(127)), 23);
  return vreinterpretq_f32_s32(bits);
}
