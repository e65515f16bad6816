// Parameter updates over flat arrays, one pass each.
#pragma once

#include <limits>

#include "simd.h"

CONVKIT_BEGIN_KERNELS

// The smallest normal number. Where a weight's gradient stays 0, its moving averages decay to
// smaller ones and never leave them, and a processor takes some hundred cycles for an operation on
// one.
constexpr float kSmallest = std::numeric_limits<float>::min();

// a, but 0 where it is smaller than `least`: in an update it counts for nothing.
CONVKIT_INLINE F32 flush(F32 a, float least = kSmallest) {
  return select(gt(set1(least), abs(a)), zero(), a);
}

// Adam (Kingma and Ba, 2015, the form before section 2.1's last line): step is the learning rate
// with both bias corrections in it; decay is the decoupled weight decay times the learning rate
// (Loshchilov and Hutter, 2019).
void adam_update(float* w, const float* g, float* m, float* v, std::int64_t n, float step,
                 float one_minus_beta_1, float one_minus_beta_2, float epsilon, float decay) {
  // Times a step of 1e-6 it is still normal.
  constexpr float kSmallestMoment = kSmallest * 0x1p20f;
  const F32 b1 = set1(one_minus_beta_1), b2 = set1(one_minus_beta_2);
  const F32 eps = set1(epsilon), alpha = set1(step), shrink = set1(decay);
  for (std::int64_t i = 0; i < n; i += kLanes) {
    const std::int64_t left = n - i;
    const F32 gi = load_part(g + i, left);
    F32 mi = load_part(m + i, left), vi = load_part(v + i, left), wi = load_part(w + i, left);
    mi = flush(fma(sub(gi, mi), b1, mi), kSmallestMoment);
    vi = flush(fma(sub(mul(gi, gi), vi), b2, vi));
    wi = fnma(wi, shrink, wi);
    wi = sub(wi, div(mul(alpha, mi), add(sqrt(vi), eps)));
    store_part(m + i, mi, left);
    store_part(v + i, vi, left);
    store_part(w + i, wi, left);
  }
}

// Stochastic gradient descent; velocity is null without momentum.
void sgd_update(float* w, const float* g, float* velocity, std::int64_t n, float rate,
                float momentum, bool nesterov, float decay) {
  const F32 lr = set1(rate), mu = set1(momentum), shrink = set1(decay);
  for (std::int64_t i = 0; i < n; i += kLanes) {
    const std::int64_t left = n - i;
    F32 wi = load_part(w + i, left);
    wi = fnma(wi, shrink, wi);
    const F32 step = mul(load_part(g + i, left), lr);
    if (velocity) {
      const F32 vi = flush(sub(mul(load_part(velocity + i, left), mu), step));
      store_part(velocity + i, vi, left);
      wi = nesterov ? sub(fma(vi, mu, wi), step) : add(wi, vi);
    } else {
      wi = sub(wi, step);
    }
    store_part(w + i, wi, left);
  }
}

// RMSprop (Tieleman and Hinton, 2012, lecture 6.5 of "Neural networks for machine learning"), with
// epsilon under the root; momentum is null for none.
void rmsprop_update(float* w, const float* g, float* v, float* momentum, std::int64_t n, float rate,
                    float one_minus_rho, float share, float epsilon, float decay) {
  const F32 b = set1(one_minus_rho), eps = set1(epsilon), lr = set1(rate);
  const F32 mu = set1(share), shrink = set1(decay);
  for (std::int64_t i = 0; i < n; i += kLanes) {
    const std::int64_t left = n - i;
    const F32 gi = load_part(g + i, left);
    F32 vi = load_part(v + i, left), wi = load_part(w + i, left);
    vi = flush(fma(sub(mul(gi, gi), vi), b, vi));
    store_part(v + i, vi, left);
    F32 step = div(mul(lr, gi), sqrt(add(vi, eps)));
    if (momentum) {
      step = flush(fma(load_part(momentum + i, left), mu, step));
      store_part(momentum + i, step, left);
    }
    store_part(w + i, sub(fnma(wi, shrink, wi), step), left);
  }
}

CONVKIT_END_KERNELS
