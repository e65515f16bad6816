// Dropout (Srivastava et al., 2014) with a counter-based generator, Philox4x32-10 (Salmon, Moraes,
// Dror, Shaw: Parallel random numbers: as easy as 1, 2, 3, 2011): an element's fate is a pure
// function of (seed, offset, position), so neither threads nor resuming can change it, and the
// backward pass draws the same numbers again instead of keeping a mask.
#pragma once

#include "simd.h"

CONVKIT_BEGIN_KERNELS

constexpr int kPhiloxBlock = 16;  // counters generated side by side

// The four words of counters (first + i, offset) for i < kPhiloxBlock.
inline void philox(std::uint64_t first, std::uint64_t offset, std::uint64_t seed,
                   std::uint32_t (&words)[4][kPhiloxBlock]) {
  for (int i = 0; i < kPhiloxBlock; ++i) {
    const std::uint64_t counter = first + static_cast<std::uint64_t>(i);
    words[0][i] = static_cast<std::uint32_t>(counter);
    words[1][i] = static_cast<std::uint32_t>(counter >> 32);
    words[2][i] = static_cast<std::uint32_t>(offset);
    words[3][i] = static_cast<std::uint32_t>(offset >> 32);
  }
  std::uint32_t k0 = static_cast<std::uint32_t>(seed), k1 = static_cast<std::uint32_t>(seed >> 32);
  for (int round = 0; round < 10; ++round) {
    for (int i = 0; i < kPhiloxBlock; ++i) {
      const std::uint64_t p0 = std::uint64_t{0xD2511F53u} * words[0][i];
      const std::uint64_t p1 = std::uint64_t{0xCD9E8D57u} * words[2][i];
      words[0][i] = static_cast<std::uint32_t>(p1 >> 32) ^ words[1][i] ^ k0;
      words[2][i] = static_cast<std::uint32_t>(p0 >> 32) ^ words[3][i] ^ k1;
      words[1][i] = static_cast<std::uint32_t>(p1);
      words[3][i] = static_cast<std::uint32_t>(p0);
    }
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
}

// y[i] = x[i] * scale where the 24-bit draw of element i reaches threshold, else 0, for elements
// [begin, end); begin is a multiple of 4 * kPhiloxBlock.
void dropout(const float* x, float* y, std::int64_t begin, std::int64_t end, std::uint64_t seed,
             std::uint64_t offset, std::uint32_t threshold, float scale) {
  std::uint32_t words[4][kPhiloxBlock];
  for (std::int64_t i = begin; i < end; i += 4 * kPhiloxBlock) {
    philox(static_cast<std::uint64_t>(i) / 4, offset, seed, words);
    const std::int64_t left = end - i < 4 * kPhiloxBlock ? end - i : 4 * kPhiloxBlock;
    for (std::int64_t j = 0; j < left; ++j) {
      const bool kept = (words[j % 4][j / 4] >> 8) >= threshold;
      y[i + j] = kept ? x[i + j] * scale : 0.0f;
    }
  }
}

CONVKIT_END_KERNELS
