// Layer normalisation (Ba, Kiros and Hinton, 2016) over rows of k values: each row at mean 0 and
// variance 1. Statistics are taken in two passes over the row, which is in cache then.
#pragma once

#include "columns.h"
#include "pairwise.h"

CONVKIT_BEGIN_KERNELS

// A vector of a row whose last one may be a part, filled up.
inline F32 load_filled(const float* p, std::int64_t n, F32 fill) {
  return n >= kLanes ? load(p) : load_n(p, static_cast<int>(n), fill);
}

// Two chains of sums, for the additions not to wait for each other; in pairs where the row is long.
template <class Sum>
struct TwoSums {
  Sum sums[2];
  CONVKIT_INLINE void add_product(int i, F32 a, F32 b) { sums[i].add_product(a, b); }
  CONVKIT_INLINE void add_value(int i, F32 a) { sums[i].add_value(a); }
  CONVKIT_INLINE float total() { return sum_lanes(add(sums[0].total(), sums[1].total())); }
};

template <class Sum>
inline float row_sum(const float* x, std::int64_t k) {
  TwoSums<Sum> sum;
  std::int64_t j = 0;
  for (; j + 2 * kLanes <= k; j += 2 * kLanes) {
    sum.add_value(0, load(x + j));
    sum.add_value(1, load(x + j + kLanes));
  }
  for (; j < k; j += kLanes) sum.add_value(0, load_part(x + j, k - j));
  return sum.total();
}

template <class Sum>
inline float row_deviations(const float* x, std::int64_t k, F32 mean) {
  TwoSums<Sum> sum;
  std::int64_t j = 0;
  for (; j + 2 * kLanes <= k; j += 2 * kLanes) {
    const F32 a = sub(load(x + j), mean), b = sub(load(x + j + kLanes), mean);
    sum.add_product(0, a, a);
    sum.add_product(1, b, b);
  }
  for (; j < k; j += kLanes) {
    const F32 a = sub(load_filled(x + j, k - j, mean), mean);
    sum.add_product(0, a, a);
  }
  return sum.total();
}

inline bool is_short_row(std::int64_t k) { return k <= kSumBlock * kLanes; }

// y = (x - mean) * rstd * gamma + beta for rows [begin, end), and their means and
// 1 / sqrt(variance + epsilon).
void layernorm_forward(const float* x, const float* gamma, const float* beta, double epsilon,
                       float* y, float* mean, float* rstd, std::int64_t k, std::int64_t begin,
                       std::int64_t end) {
  const float count = static_cast<float>(k);
  for (std::int64_t r = begin; r < end; ++r) {
    const float* row = x + r * k;
    float* out = y + r * k;
    const float m =
        (is_short_row(k) ? row_sum<ShortSum>(row, k) : row_sum<RunningSum<kSumBlock>>(row, k)) /
        count;
    const F32 centre = set1(m);
    const float squares = is_short_row(k) ? row_deviations<ShortSum>(row, k, centre)
                                          : row_deviations<RunningSum<kSumBlock>>(row, k, centre);
    const double variance = static_cast<double>(squares) / static_cast<double>(k);
    const float scale = static_cast<float>(1.0 / __builtin_sqrt(variance + epsilon));
    const F32 scales = set1(scale);
    for (std::int64_t j = 0; j < k; j += kLanes) {
      const F32 xhat = mul(sub(load_part(row + j, k - j), centre), scales);
      const F32 v = fma(xhat, load_part(gamma + j, k - j), load_part(beta + j, k - j));
      store_part(out + j, v, k - j);
    }
    mean[r] = m;
    rstd[r] = scale;
  }
}

// The sums of dy * gamma and of dy * gamma * (x - mean) over a row.
template <class Sum>
inline void row_products(const float* dy, const float* x, const float* gamma, F32 mean,
                         std::int64_t k, float* sum, float* product) {
  TwoSums<Sum> sums;  // one chain each
  for (std::int64_t j = 0; j < k; j += kLanes) {
    const F32 g = mul(load_part(dy + j, k - j), load_part(gamma + j, k - j));
    sums.add_value(0, g);
    sums.add_product(1, g, sub(load_filled(x + j, k - j, mean), mean));
  }
  *sum = sum_lanes(sums.sums[0].total());
  *product = sum_lanes(sums.sums[1].total());
}

// dx = rstd * (dy * gamma - mean(dy * gamma) - xhat * mean(dy * gamma * xhat)) for rows
// [begin, end). dx may be dy or x.
void layernorm_backward(const float* dy, const float* x, const float* gamma, const float* mean,
                        const float* rstd, float* dx, std::int64_t k, std::int64_t begin,
                        std::int64_t end) {
  const float count = static_cast<float>(k);
  for (std::int64_t r = begin; r < end; ++r) {
    const float *in = x + r * k, *g = dy + r * k;
    const F32 centre = set1(mean[r]), scale = set1(rstd[r]);
    float sum, product;
    if (is_short_row(k)) {
      row_products<ShortSum>(g, in, gamma, centre, k, &sum, &product);
    } else {
      row_products<RunningSum<kSumBlock>>(g, in, gamma, centre, k, &sum, &product);
    }
    const F32 mean_g = set1(sum / count), slope = set1(product / count * rstd[r] * rstd[r]);
    for (std::int64_t j = 0; j < k; j += kLanes) {
      const F32 xhat = sub(load_part(in + j, k - j), centre);
      const F32 own = mul(load_part(g + j, k - j), load_part(gamma + j, k - j));
      store_part(dx + r * k + j, mul(scale, fnma(xhat, slope, sub(own, mean_g))), k - j);
    }
  }
}

// sum_dy = the sum of dy and sum_dy_xhat that of dy * (x - mean) * rstd over rows [begin, end), for
// the c of k columns that the pointers begin with.
void layernorm_reduce(const float* dy, const float* x, const float* mean, const float* rstd,
                      std::int64_t k, std::int64_t c, std::int64_t begin, std::int64_t end,
                      float* sum_dy, float* sum_dy_xhat) {
  each_columns(c, [&](auto columns) {
    constexpr int V = decltype(columns)::count;
    F32 s0[V], s1[V];
    each<V>([&](auto v) CONVKIT_LAMBDA { s0[v] = s1[v] = zero(); });
    for (std::int64_t r = begin; r < end; ++r) {
      const F32 centre = set1(mean[r]), scale = set1(rstd[r]);
      each<V>([&](auto v) CONVKIT_LAMBDA {
        const F32 g = columns.load(dy + r * k, v);
        s0[v] = add(s0[v], g);
        s1[v] = fma(g, mul(sub(columns.load(x + r * k, v), centre), scale), s1[v]);
      });
    }
    each<V>([&](auto v) CONVKIT_LAMBDA {
      columns.store(sum_dy, v, s0[v]);
      columns.store(sum_dy_xhat, v, s1[v]);
    });
  });
}

CONVKIT_END_KERNELS
