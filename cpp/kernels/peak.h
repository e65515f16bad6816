// The bound that benchmarks compare with: independent multiply-adds in registers, nothing else.
#pragma once

#include "simd.h"

CONVKIT_BEGIN_KERNELS

// Runs `rounds` of kPeakChains multiply-adds; returns a value that depends on all of them, so that
// none can be left out.
constexpr int kPeakChains = 12;

float multiply_add_peak(std::int64_t rounds) {
  F32 acc[kPeakChains];
  for (int i = 0; i < kPeakChains; ++i) acc[i] = set1(static_cast<float>(i));
  const F32 a = set1(0.999f), b = set1(0.001f);
  for (std::int64_t r = 0; r < rounds; ++r) {
    for (int i = 0; i < kPeakChains; ++i) acc[i] = fma(acc[i], a, b);
  }
  F32 total = zero();
  for (int i = 0; i < kPeakChains; ++i) total = add(total, acc[i]);
  return sum_lanes(total);
}

CONVKIT_END_KERNELS
