// Leaky ReLU whose slopes below zero, alpha, are an array.
#pragma once

#include "pairwise.h"

CONVKIT_BEGIN_KERNELS

// g where x > 0, else alpha * g; a NaN in x counts as below.
CONVKIT_INLINE F32 prelu(F32 x, F32 g, F32 alpha) {
  return select(gt(x, zero()), g, mul(g, alpha));
}

// y = prelu(x, g, alpha): forward g is x, backward the output's gradient. y may be either.
void prelu_apply(const PreluRows& s, const float* x, const float* g, const float* alpha, float* y) {
  for (std::int64_t r = 0; r < s.rows; ++r, x += s.ld, g += s.ld, y += s.ld) {
    if (s.t == 1) {
      for (std::int64_t j = 0; j < s.b; j += kLanes) {
        const std::int64_t n = s.b - j;
        const F32 slope = load_part(alpha + j, n);
        store_part(y + j, prelu(load_part(x + j, n), load_part(g + j, n), slope), n);
      }
      continue;
    }
    for (std::int64_t i = 0; i < s.b; ++i) {
      const F32 slope = set1(alpha[i]);
      for (std::int64_t j = i * s.t, end = j + s.t; j < end; j += kLanes) {
        const std::int64_t n = end - j;
        store_part(y + j, prelu(load_part(x + j, n), load_part(g + j, n), slope), n);
      }
    }
  }
}

// What a slope's gradient is the sum of.
CONVKIT_INLINE F32 prelu_term(F32 dy, F32 x) { return select(gt(x, zero()), zero(), mul(dy, x)); }

// The sum of the terms of one slope, of t neighbouring values.
template <class Sum>
inline float prelu_run(const float* dy, const float* x, std::int64_t t) {
  Sum total;
  for (std::int64_t j = 0; j < t; j += kLanes)
    total.add_value(prelu_term(load_part(dy + j, t - j), load_part(x + j, t - j)));
  return sum_lanes(total.total());
}

// Adds each slope's terms to sums (b,).
void prelu_sums(const PreluRows& s, const float* dy, const float* x, float* sums) {
  for (std::int64_t r = 0; r < s.rows; ++r, x += s.ld, dy += s.ld) {
    if (s.t == 1) {
      for (std::int64_t j = 0; j < s.b; j += kLanes) {
        const std::int64_t n = s.b - j;
        const F32 term = prelu_term(load_part(dy + j, n), load_part(x + j, n));
        store_part(sums + j, add(load_part(sums + j, n), term), n);
      }
      continue;
    }
    for (std::int64_t i = 0; i < s.b; ++i) {
      const std::int64_t j = i * s.t;
      sums[i] += s.t <= kSumBlock * kLanes ? prelu_run<ShortSum>(dy + j, x + j, s.t)
                                           : prelu_run<RunningSum<kSumBlock>>(dy + j, x + j, s.t);
    }
  }
}

CONVKIT_END_KERNELS
