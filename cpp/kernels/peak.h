// The bound that benchmarks compare with: independent multiply-adds in registers, nothing else.
#pragma once

#include "gemm.h"

CONVKIT_BEGIN_KERNELS

// Enough chains to hide the latency, and not more than have room in registers.
constexpr int kTileSize = kTileRows * kTileVectors;
constexpr int kPeakChains = kTileSize > 12 ? kTileSize : 12;

// Runs `rounds` of kPeakChains multiply-adds; returns a value that depends on all of them, so that
// none can be left out. A chain goes through its addend too, which is where NEON's result appears:
// it would otherwise need a copy each time. So small a product is rounded away: no value grows.
float multiply_add_peak(std::int64_t rounds) {
  F32 acc[kPeakChains];
  // From a value unknown to the compiler, which would otherwise compute the chains itself.
  each<kPeakChains>([&](auto i) CONVKIT_LAMBDA { acc[i] = set1(static_cast<float>(rounds + i)); });
  const F32 tiny = set1(1e-9f);
  for (std::int64_t r = 0; r < rounds; ++r) {
    each<kPeakChains>([&](auto i) CONVKIT_LAMBDA { acc[i] = fma(acc[i], tiny, acc[i]); });
  }
  F32 total = zero();
  each<kPeakChains>([&](auto i) CONVKIT_LAMBDA { total = add(total, acc[i]); });
  return sum_lanes(total);
}

CONVKIT_END_KERNELS
