// The maximum of a pool's window and its position, a vector of channels at a time.
#pragma once

#include "simd.h"

CONVKIT_BEGIN_KERNELS

// The running maximum takes a when it is greater, or when it is the first NaN.
inline Mask takes_over(F32 a, F32 best) {
  return either(gt(a, best), without(unordered(a, a), unordered(best, best)));
}

template <class Index>
inline void store_indices(Index* p, I32 a, std::int64_t n) {
  int lanes[kLanes];
  store_i(lanes, a);
  if (n >= kLanes) {
    for (int i = 0; i < kLanes; ++i) p[i] = static_cast<Index>(lanes[i]);
  } else {
    for (int i = 0; i < n; ++i) p[i] = static_cast<Index>(lanes[i]);
  }
}

template <class Index>
inline I32 load_indices(const Index* p, std::int64_t n) {
  int lanes[kLanes] = {};
  if (n >= kLanes) {
    for (int i = 0; i < kLanes; ++i) lanes[i] = static_cast<int>(p[i]);
  } else {
    for (int i = 0; i < n; ++i) lanes[i] = static_cast<int>(p[i]);
  }
  return load_i(lanes);
}

CONVKIT_END_KERNELS
