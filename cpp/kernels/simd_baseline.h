// The instruction set that every CPU of the platform has, through the compiler's own vectors of
// four floats: SSE2 on x86-64. No fused multiply-add, so its roundings differ from the others'.
#pragma once

typedef float F32 __attribute__((vector_size(16)));
typedef int I32 __attribute__((vector_size(16)));
using Mask = I32;

constexpr int kLanes = 4;
// The largest register tiles: rows x vectors of accumulators, leaving room for the operands.
constexpr int kTileRows = 4;
constexpr int kTileVectors = 2;
constexpr int kOuterRows = 4;

inline F32 zero() { return F32{0.0f, 0.0f, 0.0f, 0.0f}; }
inline F32 set1(float a) { return F32{a, a, a, a}; }
inline F32 load(const float* p) {
  F32 a;
  __builtin_memcpy(&a, p, sizeof a);
  return a;
}
inline F32 load_n(const float* p, int n, F32 fill) {
  for (int i = 0; i < n; ++i) fill[i] = p[i];
  return fill;
}
inline F32 load_n(const float* p, int n) { return load_n(p, n, zero()); }
inline void store(float* p, F32 a) { __builtin_memcpy(p, &a, sizeof a); }
inline void store_n(float* p, F32 a, int n) {
  for (int i = 0; i < n; ++i) p[i] = a[i];
}

inline F32 add(F32 a, F32 b) { return a + b; }
inline F32 sub(F32 a, F32 b) { return a - b; }
inline F32 mul(F32 a, F32 b) { return a * b; }
inline F32 div(F32 a, F32 b) { return a / b; }
inline F32 fma(F32 a, F32 b, F32 c) { return a * b + c; }
inline F32 fnma(F32 a, F32 b, F32 c) { return c - a * b; }
inline F32 sqrt(F32 a) {
  return F32{__builtin_sqrtf(a[0]), __builtin_sqrtf(a[1]), __builtin_sqrtf(a[2]),
             __builtin_sqrtf(a[3])};
}
inline F32 select(Mask m, F32 a, F32 b) {
  return reinterpret_cast<F32>((reinterpret_cast<I32>(a) & m) | (reinterpret_cast<I32>(b) & ~m));
}
inline F32 abs(F32 a) { return reinterpret_cast<F32>(reinterpret_cast<I32>(a) & 0x7fffffff); }
// To nearest, ties to even, for |a| < 2^22: adding and taking away 1.5 * 2^23 drops the fraction.
inline F32 round(F32 a) {
  const F32 magic = set1(12582912.0f);
  return (a + magic) - magic;
}
// As a > b ? a : b, so that a NaN in either operand gives b.
inline F32 max(F32 a, F32 b) { return select(a > b, a, b); }
inline F32 min(F32 a, F32 b) { return select(a < b, a, b); }

inline Mask gt(F32 a, F32 b) { return a > b; }
inline Mask unordered(F32 a, F32 b) { return (a != a) | (b != b); }
inline Mask either(Mask a, Mask b) { return a | b; }
inline Mask without(Mask a, Mask b) { return a & ~b; }

// The lanes of a and b in turn, from the first on; and from the middle on.
inline F32 interleave_low(F32 a, F32 b) { return F32{a[0], b[0], a[1], b[1]}; }
inline F32 interleave_high(F32 a, F32 b) { return F32{a[2], b[2], a[3], b[3]}; }

inline I32 set1_i(int a) { return I32{a, a, a, a}; }
inline I32 select_i(Mask m, I32 a, I32 b) { return (a & m) | (b & ~m); }
inline Mask eq_i(I32 a, I32 b) { return a == b; }
inline void store_i(int* p, I32 a) { __builtin_memcpy(p, &a, sizeof a); }
inline I32 load_i(const int* p) {
  I32 a;
  __builtin_memcpy(&a, p, sizeof a);
  return a;
}
// The lanes 0, 2, 4, ... of a times those of b, as unsigned words of 64 bits.
inline I32 even_products(I32 a, I32 b) {
  typedef std::uint32_t Words __attribute__((vector_size(16)));
  typedef std::uint64_t Products __attribute__((vector_size(16)));
  const Words x = reinterpret_cast<Words>(a), y = reinterpret_cast<Words>(b);
  return reinterpret_cast<I32>(Products{std::uint64_t{x[0]} * y[0], std::uint64_t{x[2]} * y[2]});
}

// 2^n for integral n in [-126, 127].
inline F32 exp2_integral(F32 n) {
  const I32 bits = (__builtin_convertvector(n, I32) + 127) << 23;
  return reinterpret_cast<F32>(bits);
}
