// What is done to gradients before an update, and to parameters after it.
#pragma once

#include "simd.h"

CONVKIT_BEGIN_KERNELS

// g between -limit and limit; NaN stays NaN.
void clip_by_value(float* g, std::int64_t n, float limit) {
  const F32 high = set1(limit), low = set1(-limit);
  for (std::int64_t i = 0; i < n; i += kLanes) {
    store_part(g + i, max(low, min(high, load_part(g + i, n - i))), n - i);
  }
}

void scale(float* g, std::int64_t n, float factor) {
  const F32 by = set1(factor);
  for (std::int64_t i = 0; i < n; i += kLanes) {
    store_part(g + i, mul(load_part(g + i, n - i), by), n - i);
  }
}

// total = (total + g) * factor
void accumulate(float* total, const float* g, std::int64_t n, float factor) {
  const F32 by = set1(factor);
  for (std::int64_t i = 0; i < n; i += kLanes) {
    const F32 both = add(load_part(total + i, n - i), load_part(g + i, n - i));
    store_part(total + i, mul(both, by), n - i);
  }
}

// average = momentum * average + (1 - momentum) * w
void moving_average(float* average, const float* w, std::int64_t n, float momentum) {
  const F32 share = set1(momentum), rest = set1(1.0f - momentum);
  for (std::int64_t i = 0; i < n; i += kLanes) {
    const F32 own = mul(load_part(w + i, n - i), rest);
    store_part(average + i, fma(load_part(average + i, n - i), share, own), n - i);
  }
}

// slow += share * (w - slow), and w becomes slow; where both are equal, they stay as they are.
void lookahead(float* slow, float* w, std::int64_t n, float share) {
  const F32 part = set1(share);
  for (std::int64_t i = 0; i < n; i += kLanes) {
    const F32 own = load_part(slow + i, n - i);
    const F32 result = fma(sub(load_part(w + i, n - i), own), part, own);
    store_part(slow + i, result, n - i);
    store_part(w + i, result, n - i);
  }
}

CONVKIT_END_KERNELS
