// Dropout (Srivastava et al., 2014): an element's fate is a pure function of (seed, offset,
// position), so neither threads nor resuming can change it, and the backward pass draws the same
// numbers again instead of keeping a mask.
#pragma once

#include "philox.h"

CONVKIT_BEGIN_KERNELS

// y[i] = x[i] * scale where the 24-bit draw of element `first` + i reaches threshold, else 0, for i
// in [begin, end); first and begin are multiples of 4.
void dropout(const float* x, float* y, std::int64_t first, std::int64_t begin, std::int64_t end,
             std::uint64_t seed, std::uint64_t offset, std::uint32_t threshold, float scale) {
  const PhiloxKeys keys(seed);
  U64 counters = counters_from(first + begin);
  for (std::int64_t i = begin; i < end; i += kDrawVectors * kLanes) {
    F32 draws[kDrawVectors];
    philox(counters, offset, keys, draws);
    counters += static_cast<std::uint64_t>(kSideBySide * kCounters);
    for (int v = 0; v < kDrawVectors; ++v) {
      const std::int64_t at = i + v * kLanes;
      if (at >= end) return;
      const U32 kept = reinterpret_cast<U32>((reinterpret_cast<U32>(draws[v]) >> 8) >= threshold);
      const F32 scaled = mul(load_part(x + at, end - at), set1(scale));
      store_part(y + at, reinterpret_cast<F32>(reinterpret_cast<U32>(scaled) & kept), end - at);
    }
  }
}

// y = x * factor, a factor for each channel of an image of `plane` positions, for rows [begin, end)
// of N * plane; 0 where the factor is 0, whatever x is.
void drop_channels(const float* x, const float* factors, float* y, std::int64_t c,
                   std::int64_t plane, std::int64_t begin, std::int64_t end) {
  for (std::int64_t row = begin; row < end; ++row) {
    const float* own = factors + row / plane * c;
    for (std::int64_t i = 0; i < c; i += kLanes) {
      const F32 factor = load_part(own + i, c - i);
      const U32 kept = reinterpret_cast<U32>(reinterpret_cast<U32>(factor) != 0);
      const F32 scaled = mul(load_part(x + row * c + i, c - i), factor);
      store_part(y + row * c + i, reinterpret_cast<F32>(reinterpret_cast<U32>(scaled) & kept),
                 c - i);
    }
  }
}

CONVKIT_END_KERNELS
