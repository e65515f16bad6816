// Random words that are a pure function of (seed, offset, position): Philox4x32-10 (Salmon, Moraes,
// Dror, Shaw: Parallel random numbers: as easy as 1, 2, 3, 2011).
#pragma once

#include "simd.h"

CONVKIT_BEGIN_KERNELS

// A word of each counter fills 64 bits of a vector. Two vectors of counters hide each other's
// latencies.
constexpr int kCounters = kLanes / 2;
constexpr int kSideBySide = 2;
constexpr int kDrawVectors = 2 * kSideBySide;
constexpr std::uint64_t kWord = 0xFFFFFFFFu;

CONVKIT_INLINE U64 wide_product(U64 a, std::uint32_t b) {
  return reinterpret_cast<U64>(
      even_products(reinterpret_cast<I32>(a), set1_i(static_cast<int>(b))));
}

constexpr int kRounds = 10;

// Each round's key, two words, in all lanes.
struct PhiloxKeys {
  U64 low[kRounds], high[kRounds];

  explicit PhiloxKeys(std::uint64_t seed) {
    std::uint64_t k0 = seed & kWord, k1 = seed >> 32;
    for (int i = 0; i < kRounds; ++i) {
      low[i] = U64{} + k0;
      high[i] = U64{} + k1;
      k0 = (k0 + 0x9E3779B9u) & kWord;
      k1 = (k1 + 0xBB67AE85u) & kWord;
    }
  }
};

// The first and third words of counters (first, offset), (first + 1, offset) ..., then their second
// and fourth words, of kCounters counters each.
CONVKIT_INLINE void philox_pairs(U64 first, std::uint64_t offset, const PhiloxKeys& keys,
                                 F32 (&pairs)[kDrawVectors]) {
  U64 a[kSideBySide], b[kSideBySide], c[kSideBySide], d[kSideBySide];
  for (int j = 0; j < kSideBySide; ++j) {
    const U64 counter = first + static_cast<std::uint64_t>(j * kCounters);
    a[j] = counter & kWord, b[j] = counter >> 32;
    c[j] = U64{} + (offset & kWord), d[j] = U64{} + (offset >> 32);
  }
  for (int i = 0; i < kRounds; ++i) {
    for (int j = 0; j < kSideBySide; ++j) {
      const U64 p0 = wide_product(a[j], 0xD2511F53u), p1 = wide_product(c[j], 0xCD9E8D57u);
      a[j] = (p1 >> 32) ^ b[j] ^ keys.low[i];
      c[j] = (p0 >> 32) ^ d[j] ^ keys.high[i];
      b[j] = p1 & kWord;
      d[j] = p0 & kWord;
    }
  }
  for (int j = 0; j < kSideBySide; ++j) {
    pairs[2 * j] = reinterpret_cast<F32>(a[j] | c[j] << 32);
    pairs[2 * j + 1] = reinterpret_cast<F32>(b[j] | d[j] << 32);
  }
}

// The four words of counters, one counter after the other.
CONVKIT_INLINE void philox(U64 first, std::uint64_t offset, const PhiloxKeys& keys,
                           F32 (&draws)[kDrawVectors]) {
  F32 pairs[kDrawVectors];
  philox_pairs(first, offset, keys, pairs);
  for (int j = 0; j < kSideBySide; ++j) {
    draws[2 * j] = interleave_low(pairs[2 * j], pairs[2 * j + 1]);
    draws[2 * j + 1] = interleave_high(pairs[2 * j], pairs[2 * j + 1]);
  }
}

// The counters of the elements from `element` on, a multiple of 4.
CONVKIT_INLINE U64 counters_from(std::int64_t element) {
  U64 counters{};
  for (int i = 0; i < kCounters; ++i) counters[i] = static_cast<std::uint64_t>(element / 4 + i);
  return counters;
}

CONVKIT_END_KERNELS
