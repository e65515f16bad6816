// Softmax and its logarithm over rows of classes.
#pragma once

#include "elementary.h"
#include "pairwise.h"

CONVKIT_BEGIN_KERNELS

// The largest of k values.
inline float highest(const float* x, std::int64_t k) {
  const F32 lowest = set1(-__builtin_inff());
  float lanes[kLanes];
  F32 top = lowest;
  for (std::int64_t j = 0; j < k; j += kLanes) {
    const F32 v = k - j >= kLanes ? load(x + j) : load_n(x + j, static_cast<int>(k - j), lowest);
    top = max(top, v);
  }
  store(lanes, top);
  float m = lanes[0];
  for (int i = 1; i < kLanes; ++i) m = lanes[i] > m ? lanes[i] : m;
  return m;
}

// e^(x - peak) for k values, to y unless that is null; returns their sum.
template <class Sum>
inline float exponentials(const float* x, float* y, std::int64_t k, float peak) {
  const F32 lowest = set1(-__builtin_inff());
  Sum total;
  for (std::int64_t j = 0; j < k; j += kLanes) {
    const F32 v = k - j >= kLanes ? load(x + j) : load_n(x + j, static_cast<int>(k - j), lowest);
    const F32 e = exp(sub(v, set1(peak)));
    if (y) store_part(y + j, e, k - j);
    total.add_value(e);
  }
  return sum_lanes(total.total());
}

// The same; apart for many classes: to count the terms costs time.
inline float sum_exponentials(const float* x, float* y, std::int64_t k, float peak) {
  return k <= kSumBlock * kLanes ? exponentials<ShortSum>(x, y, k, peak)
                                 : exponentials<RunningSum<kSumBlock>>(x, y, k, peak);
}

// The sum of k products.
template <class Sum>
inline float products(const float* a, const float* b, std::int64_t k) {
  Sum total;
  for (std::int64_t j = 0; j < k; j += kLanes)
    total.add_product(load_part(a + j, k - j), load_part(b + j, k - j));
  return sum_lanes(total.total());
}

// Rows of k classes: y = softmax(x); the row's maximum and the sum of e^(x - maximum), from which
// a loss gets its log-sum-exp, go to peak and sum where those are given.
void softmax_forward(const float* x, float* y, std::int64_t rows, std::int64_t k, float* peak,
                     float* sum) {
  for (std::int64_t r = 0; r < rows; ++r, x += k, y += k) {
    const float m = highest(x, k);
    const float s = sum_exponentials(x, y, k, m);
    for (std::int64_t j = 0; j < k; j += kLanes)
      store_part(y + j, div(load_part(y + j, k - j), set1(s)), k - j);
    if (peak) {
      peak[r] = m;
      sum[r] = s;
    }
  }
}

// dx = y * (dy - sum(dy * y)) for each row.
void softmax_backward(const float* dy, const float* y, float* dx, std::int64_t rows,
                      std::int64_t k) {
  for (std::int64_t r = 0; r < rows; ++r, dy += k, y += k, dx += k) {
    const F32 s = set1(k <= kSumBlock * kLanes ? products<ShortSum>(dy, y, k)
                                               : products<RunningSum<kSumBlock>>(dy, y, k));
    for (std::int64_t j = 0; j < k; j += kLanes) {
      const F32 d = sub(load_part(dy + j, k - j), s);
      store_part(dx + j, mul(load_part(y + j, k - j), d), k - j);
    }
  }
}

// Each row's maximum and the sum of e^(x - maximum).
void softmax_sums(const float* x, std::int64_t rows, std::int64_t k, float* peak, float* sum) {
  for (std::int64_t r = 0; r < rows; ++r, x += k) {
    peak[r] = highest(x, k);
    sum[r] = sum_exponentials(x, nullptr, k, peak[r]);
  }
}

// y = x - peak - log_sum for each row, in this order: x and its maximum may be large and alike.
void log_softmax_forward(const float* x, const float* peak, const float* log_sum, float* y,
                         std::int64_t rows, std::int64_t k) {
  for (std::int64_t r = 0; r < rows; ++r, x += k, y += k) {
    const F32 m = set1(peak[r]), s = set1(log_sum[r]);
    for (std::int64_t j = 0; j < k; j += kLanes)
      store_part(y + j, sub(sub(load_part(x + j, k - j), m), s), k - j);
  }
}

// The sum of k values.
template <class Sum>
inline float total_of(const float* a, std::int64_t k) {
  Sum total;
  for (std::int64_t j = 0; j < k; j += kLanes) total.add_value(load_part(a + j, k - j));
  return sum_lanes(total.total());
}

// dx = dy - e^y * sum(dy) for each row.
void log_softmax_backward(const float* dy, const float* y, float* dx, std::int64_t rows,
                          std::int64_t k) {
  for (std::int64_t r = 0; r < rows; ++r, dy += k, y += k, dx += k) {
    const F32 s = set1(k <= kSumBlock * kLanes ? total_of<ShortSum>(dy, k)
                                               : total_of<RunningSum<kSumBlock>>(dy, k));
    for (std::int64_t j = 0; j < k; j += kLanes) {
      const F32 d = fnma(exp(load_part(y + j, k - j)), s, load_part(dy + j, k - j));
      store_part(dx + j, d, k - j);
    }
  }
}

CONVKIT_END_KERNELS
