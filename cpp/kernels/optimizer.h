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
// (Loshchilov and Hutter, 2019). peak, unless it is null, is the largest v so far and takes its
// place under the root (AMSGrad: Reddi, Kale and Kumar, 2018).
void adam_update(float* w, const float* g, float* m, float* v, float* peak, std::int64_t n,
                 float step, float one_minus_beta_1, float one_minus_beta_2, float epsilon,
                 float decay) {
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
    store_part(m + i, mi, left);
    store_part(v + i, vi, left);
    if (peak) {
      vi = max(load_part(peak + i, left), vi);
      store_part(peak + i, vi, left);
    }
    wi = sub(wi, div(mul(alpha, mi), add(sqrt(vi), eps)));
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
// epsilon under the root; momentum is null for none. mean, unless it is null, is the mean gradient,
// whose square is taken from v (A. Graves, "Generating sequences with recurrent neural networks",
// 2013).
void rmsprop_update(float* w, const float* g, float* v, float* momentum, float* mean,
                    std::int64_t n, float rate, float one_minus_rho, float share, float epsilon,
                    float decay) {
  const F32 b = set1(one_minus_rho), eps = set1(epsilon), lr = set1(rate);
  const F32 mu = set1(share), shrink = set1(decay);
  for (std::int64_t i = 0; i < n; i += kLanes) {
    const std::int64_t left = n - i;
    const F32 gi = load_part(g + i, left);
    F32 vi = load_part(v + i, left), wi = load_part(w + i, left);
    vi = flush(fma(sub(mul(gi, gi), vi), b, vi));
    store_part(v + i, vi, left);
    if (mean) {
      F32 ai = load_part(mean + i, left);
      ai = flush(fma(sub(gi, ai), b, ai));
      store_part(mean + i, ai, left);
      vi = fnma(ai, ai, vi);
    }
    F32 step = div(mul(lr, gi), sqrt(add(vi, eps)));
    if (momentum) {
      step = flush(fma(load_part(momentum + i, left), mu, step));
      store_part(momentum + i, step, left);
    }
    store_part(w + i, sub(fnma(wi, shrink, wi), step), left);
  }
}

// Adagrad (Duchi, Hazan and Singer, 2011), with epsilon under the root.
void adagrad_update(float* w, const float* g, float* sum, std::int64_t n, float rate, float epsilon,
                    float decay) {
  const F32 lr = set1(rate), eps = set1(epsilon), shrink = set1(decay);
  for (std::int64_t i = 0; i < n; i += kLanes) {
    const std::int64_t left = n - i;
    const F32 gi = load_part(g + i, left), wi = load_part(w + i, left);
    const F32 si = fma(gi, gi, load_part(sum + i, left));
    store_part(sum + i, si, left);
    store_part(w + i, sub(fnma(wi, shrink, wi), div(mul(lr, gi), sqrt(add(si, eps)))), left);
  }
}

// Adadelta (Zeiler, 2012): v and u are the moving mean squares of the gradients and of the steps.
void adadelta_update(float* w, const float* g, float* v, float* u, std::int64_t n, float rate,
                     float one_minus_rho, float epsilon, float decay) {
  const F32 lr = set1(rate), b = set1(one_minus_rho), eps = set1(epsilon), shrink = set1(decay);
  for (std::int64_t i = 0; i < n; i += kLanes) {
    const std::int64_t left = n - i;
    const F32 gi = load_part(g + i, left), wi = load_part(w + i, left);
    F32 vi = load_part(v + i, left), ui = load_part(u + i, left);
    vi = flush(fma(sub(mul(gi, gi), vi), b, vi));
    const F32 step = div(mul(sqrt(add(ui, eps)), gi), sqrt(add(vi, eps)));
    ui = flush(fma(sub(mul(step, step), ui), b, ui));
    store_part(v + i, vi, left);
    store_part(u + i, ui, left);
    store_part(w + i, fnma(step, lr, fnma(wi, shrink, wi)), left);
  }
}

// Adamax (Kingma and Ba, 2015, section 7.1): u is the largest gradient, which decays; step is the
// learning rate with m's bias correction in it.
void adamax_update(float* w, const float* g, float* m, float* u, std::int64_t n, float step,
                   float one_minus_beta_1, float beta_2, float epsilon, float decay) {
  const F32 b1 = set1(one_minus_beta_1), b2 = set1(beta_2);
  const F32 eps = set1(epsilon), alpha = set1(step), shrink = set1(decay);
  for (std::int64_t i = 0; i < n; i += kLanes) {
    const std::int64_t left = n - i;
    const F32 gi = load_part(g + i, left), wi = load_part(w + i, left);
    F32 mi = load_part(m + i, left);
    mi = flush(fma(sub(gi, mi), b1, mi));
    const F32 ui = flush(max(mul(load_part(u + i, left), b2), abs(gi)));
    store_part(m + i, mi, left);
    store_part(u + i, ui, left);
    store_part(w + i, sub(fnma(wi, shrink, wi), div(mul(alpha, mi), add(ui, eps))), left);
  }
}

// Nadam (Dozat, 2016): of_m and of_g are the learning rate times what m and the gradient count for,
// of_v is v's bias correction.
void nadam_update(float* w, const float* g, float* m, float* v, std::int64_t n, float of_m,
                  float of_g, float of_v, float one_minus_beta_1, float one_minus_beta_2,
                  float epsilon, float decay) {
  const F32 b1 = set1(one_minus_beta_1), b2 = set1(one_minus_beta_2), eps = set1(epsilon);
  const F32 share_m = set1(of_m), share_g = set1(of_g), share_v = set1(of_v), shrink = set1(decay);
  for (std::int64_t i = 0; i < n; i += kLanes) {
    const std::int64_t left = n - i;
    const F32 gi = load_part(g + i, left), wi = load_part(w + i, left);
    F32 mi = load_part(m + i, left), vi = load_part(v + i, left);
    mi = flush(fma(sub(gi, mi), b1, mi));
    vi = flush(fma(sub(mul(gi, gi), vi), b2, vi));
    store_part(m + i, mi, left);
    store_part(v + i, vi, left);
    const F32 up = fma(mi, share_m, mul(gi, share_g));
    const F32 step = div(up, add(sqrt(mul(vi, share_v)), eps));
    store_part(w + i, sub(fnma(wi, shrink, wi), step), left);
  }
}

// Lion (Chen et al., 2023): the sign of a mean of m and the gradient, 0 where that is 0.
void lion_update(float* w, const float* g, float* m, std::int64_t n, float rate, float beta_1,
                 float beta_2, float decay) {
  const F32 plus = set1(rate), minus = set1(-rate), shrink = set1(decay);
  const F32 b1 = set1(beta_1), rest_1 = set1(1.0f - beta_1);
  const F32 b2 = set1(beta_2), rest_2 = set1(1.0f - beta_2);
  for (std::int64_t i = 0; i < n; i += kLanes) {
    const std::int64_t left = n - i;
    const F32 gi = load_part(g + i, left), wi = load_part(w + i, left);
    const F32 mi = load_part(m + i, left);
    const F32 mean = fma(mi, b1, mul(gi, rest_1));
    F32 step = select(gt(mean, zero()), plus, select(gt(zero(), mean), minus, zero()));
    step = select(unordered(mean, mean), mean, step);  // or a lost gradient would stop a weight
    store_part(m + i, flush(fma(mi, b2, mul(gi, rest_2))), left);
    store_part(w + i, sub(fnma(wi, shrink, wi), step), left);
  }
}

// x ** power; its root for the power that is usual.
CONVKIT_INLINE F32 raise(F32 x, float power) {
  if (power == 0.5f) return sqrt(x);
  float lanes[kLanes];
  store(lanes, x);
  for (float& lane : lanes) lane = __builtin_powf(lane, power);
  return load(lanes);
}

// FTRL (McMahan et al., 2013), with the shrinkage of the loss's gradient by 2 * shrinkage * w. A
// weight that has had no gradient yet, and no initial sum, is 0.
void ftrl_update(float* w, const float* g, float* sum, float* linear, std::int64_t n,
                 const FtrlNumbers& given, float decay) {
  const F32 shrink = set1(decay), l1 = set1(given.l1), minus_l1 = set1(-given.l1);
  const F32 per_rate = set1(given.per_rate), l2 = set1(given.twice_l2);
  const F32 shrinkage = set1(given.twice_shrinkage);
  for (std::int64_t i = 0; i < n; i += kLanes) {
    const std::int64_t left = n - i;
    const F32 gi = load_part(g + i, left), before = load_part(sum + i, left);
    F32 wi = load_part(w + i, left);
    wi = fnma(wi, shrink, wi);
    const F32 after = fma(gi, gi, before);
    const F32 root = raise(after, given.power);
    const F32 growth = mul(sub(root, raise(before, given.power)), per_rate);
    const F32 li = add(load_part(linear + i, left), fnma(growth, wi, fma(wi, shrinkage, gi)));
    const F32 quadratic = fma(root, per_rate, l2);
    const F32 clipped = max(minus_l1, min(l1, li));
    const Mask counts = either(gt(quadratic, zero()), unordered(quadratic, quadratic));
    store_part(sum + i, after, left);
    store_part(linear + i, li, left);
    store_part(w + i, select(counts, div(sub(clipped, li), quadratic), zero()), left);
  }
}

// m = momentum * m + g, and out is g + momentum * m with Nesterov's form, else m.
void muon_momentum(const float* g, float* m, float* out, std::int64_t n, float momentum,
                   bool nesterov) {
  const F32 mu = set1(momentum);
  for (std::int64_t i = 0; i < n; i += kLanes) {
    const std::int64_t left = n - i;
    const F32 gi = load_part(g + i, left);
    const F32 mi = flush(fma(load_part(m + i, left), mu, gi));
    store_part(m + i, mi, left);
    store_part(out + i, nesterov ? fma(mi, mu, gi) : mi, left);
  }
}

// y = a * x + b * y
void combine(float a, const float* x, float b, float* y, std::int64_t n) {
  const F32 of_x = set1(a), of_y = set1(b);
  for (std::int64_t i = 0; i < n; i += kLanes) {
    const std::int64_t left = n - i;
    const F32 yi = mul(load_part(y + i, left), of_y);
    store_part(y + i, fma(load_part(x + i, left), of_x, yi), left);
  }
}

CONVKIT_END_KERNELS
