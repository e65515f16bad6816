// One instruction set's vectors under common names. Each topic is compiled once per instruction
// set with CONVKIT_ISA set to its name; everything below lives in that name's anonymous namespace,
// so that the linker can never keep one instruction set's copy of a function for another.
#pragma once

#include <cstdint>

#include "../shapes.h"

#define CONVKIT_BEGIN_KERNELS      \
  namespace convkit::CONVKIT_ISA { \
  namespace {
#define CONVKIT_END_KERNELS \
  }                         \
  }

// Small functions and lambdas of the inner loops, which must be inlined wherever they are used.
#define CONVKIT_LAMBDA __attribute__((always_inline))
#define CONVKIT_INLINE inline CONVKIT_LAMBDA

#if defined(CONVKIT_USE_AVX512) || defined(CONVKIT_USE_AVX2)
#include <immintrin.h>
#elif defined(CONVKIT_USE_NEON)
#include <arm_neon.h>
#endif

CONVKIT_BEGIN_KERNELS
#if defined(CONVKIT_USE_AVX512)
#include "simd_avx512.h"
#elif defined(CONVKIT_USE_AVX2)
#include "simd_avx2.h"
#elif defined(CONVKIT_USE_NEON)
#include "simd_neon.h"
#else
#include "simd_baseline.h"
#endif

// The same lanes as integers, for the compiler's own operators.
typedef std::uint32_t U32 __attribute__((vector_size(kLanes * 4)));
typedef std::uint64_t U64 __attribute__((vector_size(kLanes * 4)));

// A vector of n <= kLanes floats: full ones take the plain load and store.
inline F32 load_part(const float* p, std::int64_t n) {
  return n >= kLanes ? load(p) : load_n(p, static_cast<int>(n));
}
inline void store_part(float* p, F32 a, std::int64_t n) {
  if (n >= kLanes) {
    store(p, a);
  } else {
    store_n(p, a, static_cast<int>(n));
  }
}

// Lanes are added in a fixed order, the same for every caller.
inline float sum_lanes(F32 a) {
  float lanes[kLanes];
  store(lanes, a);
  for (int step = kLanes / 2; step > 0; step /= 2) {
    for (int i = 0; i < step; ++i) lanes[i] += lanes[i + step];
  }
  return lanes[0];
}
CONVKIT_END_KERNELS
