// Dropout (Srivastava et al., 2014) with a counter-based generator, Philox4x32-10 (Salmon, Moraes,
// Dror, Shaw: Parallel random numbers: as easy as 1, 2, 3, 2011): an element's fate is a pure
// function of (seed, offset, position), so neither threads nor resuming can change it, and the
// backward pass draws the same numbers again instead of keeping a mask.
#pragma once

#include "simd.h"

CONVKIT_BEGIN_KERNELS

constexpr int kPhiloxBlock = 16;  // counters generated side by side
constexpr int kDraws = 4 * kPhiloxBlock;

// The four words of counters (first + i, offset) for i < kPhiloxBlock, one counter after the other.
// Words are kept in 64 bits, whose products vector units have.
inline void philox(std::uint64_t first, std::uint64_t offset, std::uint64_t seed,
                   std::uint32_t (&draws)[kDraws]) {
  constexpr std::uint64_t kLow = 0xFFFFFFFFu;
  std::uint64_t a[kPhiloxBlock], b[kPhiloxBlock], c[kPhiloxBlock], d[kPhiloxBlock];
  for (int i = 0; i < kPhiloxBlock; ++i) {
    const std::uint64_t counter = first + static_cast<std::uint64_t>(i);
    a[i] = counter & kLow, b[i] = counter >> 32;
    c[i] = offset & kLow, d[i] = offset >> 32;
  }
  std::uint64_t k0 = seed & kLow, k1 = seed >> 32;
  for (int round = 0; round < 10; ++round) {
    for (int i = 0; i < kPhiloxBlock; ++i) {
      const std::uint64_t p0 = 0xD2511F53u * (a[i] & kLow), p1 = 0xCD9E8D57u * (c[i] & kLow);
      a[i] = (p1 >> 32) ^ b[i] ^ k0;
      c[i] = (p0 >> 32) ^ d[i] ^ k1;
      b[i] = p1 & kLow;
      d[i] = p0 & kLow;
    }
    k0 = (k0 + 0x9E3779B9u) & kLow;
    k1 = (k1 + 0xBB67AE85u) & kLow;
  }
  for (int i = 0; i < kPhiloxBlock; ++i) {
    draws[4 * i] = static_cast<std::uint32_t>(a[i]);
    draws[4 * i + 1] = static_cast<std::uint32_t>(b[i]);
    draws[4 * i + 2] = static_cast<std::uint32_t>(c[i]);
    draws[4 * i + 3] = static_cast<std::uint32_t>(d[i]);
  }
}

inline void keep(const float* x, float* y, const std::uint32_t (&draws)[kDraws], std::int64_t n,
                 std::int32_t threshold, float scale) {
  for (std::int64_t j = 0; j < n; ++j) {
    const float kept = x[j] * scale;
    y[j] = static_cast<std::int32_t>(draws[j] >> 8) >= threshold ? kept : 0.0f;
  }
}

// y[i] = x[i] * scale where the 24-bit draw of element i reaches threshold, else 0, for elements
// [begin, end); begin is a multiple of kDraws.
void dropout(const float* x, float* y, std::int64_t begin, std::int64_t end, std::uint64_t seed,
             std::uint64_t offset, std::uint32_t threshold, float scale) {
  std::uint32_t draws[kDraws];
  const std::int32_t limit = static_cast<std::int32_t>(threshold);
  for (std::int64_t i = begin; i < end; i += kDraws) {
    philox(static_cast<std::uint64_t>(i) / 4, offset, seed, draws);
    if (end - i >= kDraws) {
      keep(x + i, y + i, draws, kDraws, limit, scale);
    } else {
      keep(x + i, y + i, draws, end - i, limit, scale);
    }
  }
}

CONVKIT_END_KERNELS
