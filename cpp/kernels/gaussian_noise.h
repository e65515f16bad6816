// Normally distributed noise, added to values or to factors of 1.
#pragma once

#include "normal_numbers.h"

CONVKIT_BEGIN_KERNELS

// For i in [begin, end): y[i] = x[i] + deviation * number, or x[i] times (1 + deviation * number),
// with the number of element `first` + i; first and begin are multiples of 4.
void gaussian_noise(const float* x, float* y, std::int64_t first, std::int64_t begin,
                    std::int64_t end, std::uint64_t seed, std::uint64_t offset, float deviation,
                    bool multiply) {
  const PhiloxKeys keys(seed);
  U64 counters = counters_from(first + begin);
  for (std::int64_t i = begin; i < end; i += kDrawVectors * kLanes) {
    F32 numbers[kDrawVectors];
    normal_numbers(counters, offset, keys, numbers);
    counters += static_cast<std::uint64_t>(kSideBySide * kCounters);
    for (int v = 0; v < kDrawVectors; ++v) {
      const std::int64_t at = i + v * kLanes;
      if (at >= end) return;
      const F32 noise = mul(numbers[v], set1(deviation)), old = load_part(x + at, end - at);
      store_part(y + at, multiply ? mul(old, add(noise, set1(1.0f))) : add(old, noise), end - at);
    }
  }
}

CONVKIT_END_KERNELS
