// Batch normalisation (Ioffe and Szegedy, 2015) over rows of C channels. Statistics are taken per
// fixed block of rows, in two passes over the block while it is in cache, and combined by the
// caller in a fixed order, so that they are accurate and do not depend on the number of threads.
#pragma once

#include "pool2d.h"
#include "simd.h"

CONVKIT_BEGIN_KERNELS

// The mean and the sum of squared deviations of rows [begin, end), per channel.
void batchnorm_statistics(const float* x, std::int64_t c, std::int64_t begin, std::int64_t end,
                          float* mean, float* deviations) {
  const F32 count = set1(static_cast<float>(end - begin));
  for (std::int64_t j = 0; j < c; j += kLanes) {
    const std::int64_t n = c - j;
    F32 sum[2] = {zero(), zero()};
    std::int64_t r = begin;
    for (; r + 1 < end; r += 2) {
      sum[0] = add(sum[0], load_part(x + r * c + j, n));
      sum[1] = add(sum[1], load_part(x + (r + 1) * c + j, n));
    }
    if (r < end) sum[0] = add(sum[0], load_part(x + r * c + j, n));
    const F32 m = div(add(sum[0], sum[1]), count);
    F32 squares[2] = {zero(), zero()};
    for (r = begin; r + 1 < end; r += 2) {
      const F32 d0 = sub(load_part(x + r * c + j, n), m);
      const F32 d1 = sub(load_part(x + (r + 1) * c + j, n), m);
      squares[0] = fma(d0, d0, squares[0]);
      squares[1] = fma(d1, d1, squares[1]);
    }
    if (r < end) {
      const F32 d0 = sub(load_part(x + r * c + j, n), m);
      squares[0] = fma(d0, d0, squares[0]);
    }
    store_part(mean + j, m, n);
    store_part(deviations + j, add(squares[0], squares[1]), n);
  }
}

// y = x * scale + shift, then ReLU when asked for, for rows [begin, end).
void batchnorm_normalise(const float* x, const float* scale, const float* shift, bool relu,
                         float* y, std::int64_t c, std::int64_t begin, std::int64_t end) {
  for (std::int64_t j = 0; j < c; j += kLanes) {
    const std::int64_t n = c - j;
    const F32 a = load_part(scale + j, n), b = load_part(shift + j, n);
    for (std::int64_t r = begin; r < end; ++r) {
      const F32 v = fma(load_part(x + r * c + j, n), a, b);
      store_part(y + r * c + j, relu ? max(zero(), v) : v, n);
    }
  }
}

// The same, then max-pooled by windows of 2 x 2: output rows [begin, end) of N * OH, and the
// position of each maximum in its window. s has no padding.
void batchnorm_max_pool2d(const PoolShape& s, const float* x, const float* scale,
                          const float* shift, bool relu, float* y, std::uint8_t* indices,
                          std::int64_t begin, std::int64_t end) {
  for (std::int64_t row = begin; row < end; ++row) {
    const float* top = x + (row / s.oh * s.h + row % s.oh * 2) * s.w * s.c;
    for (std::int64_t j = 0; j < s.c; j += kLanes) {
      const std::int64_t n = s.c - j;
      const F32 a = load_part(scale + j, n), b = load_part(shift + j, n);
      for (std::int64_t ow = 0; ow < s.ow; ++ow) {
        const float* corner = top + 2 * ow * s.c + j;
        F32 best = zero();
        I32 where = set1_i(0);
        for (int k = 0; k < 4; ++k) {
          const F32 z = fma(load_part(corner + (k / 2 * s.w + k % 2) * s.c, n), a, b);
          const F32 v = relu ? max(zero(), z) : z;
          const Mask m = takes_over(v, best);
          best = k == 0 ? v : select(m, v, best);
          where = k == 0 ? where : select_i(m, set1_i(k), where);
        }
        const std::int64_t out = (row * s.ow + ow) * s.c + j;
        store_part(y + out, best, n);
        store_indices(indices + out, where, n);
      }
    }
  }
}

// Gradient of the normalised output; with ReLU, zero where that output, computed again with the
// same operations as in the forward pass, was not positive.
inline F32 through_relu(F32 dy, F32 x, F32 scale, F32 shift, bool relu) {
  return relu ? select(gt(fma(x, scale, shift), zero()), dy, zero()) : dy;
}

// sum_dy += dy and sum_dy_xhat += dy * (x - mean) * rstd over rows [begin, end).
void batchnorm_reduce(const float* dy, const float* x, const float* scale, const float* shift,
                      const float* mean, const float* rstd, bool relu, std::int64_t c,
                      std::int64_t begin, std::int64_t end, float* sum_dy, float* sum_dy_xhat) {
  for (std::int64_t j = 0; j < c; j += kLanes) {
    const std::int64_t n = c - j;
    const F32 a = load_part(scale + j, n), b = load_part(shift + j, n);
    const F32 m = load_part(mean + j, n);
    F32 s0 = zero(), s1 = zero();
    for (std::int64_t r = begin; r < end; ++r) {
      const F32 xv = load_part(x + r * c + j, n);
      const F32 g = through_relu(load_part(dy + r * c + j, n), xv, a, b, relu);
      s0 = add(s0, g);
      s1 = fma(g, sub(xv, m), s1);
    }
    store_part(sum_dy + j, s0, n);
    store_part(sum_dy_xhat + j, mul(s1, load_part(rstd + j, n)), n);
  }
}

// The same where the output was max-pooled by windows of 2 x 2, for pooled rows [begin, end) of
// N * OH: dy (N, OH, OW, C) concerns one position of each window. With y, the pooled output behind
// ReLU, dy counts where it is positive.
void batchnorm_reduce_pooled(const PoolShape& s, const float* dy, const float* y,
                             const std::uint8_t* indices, const float* x, const float* mean,
                             const float* rstd, std::int64_t begin, std::int64_t end, float* sum_dy,
                             float* sum_dy_xhat) {
  for (std::int64_t j = 0; j < s.c; j += kLanes) {
    const std::int64_t n = s.c - j;
    const F32 m = load_part(mean + j, n);
    F32 s0 = zero(), s1 = zero();
    for (std::int64_t row = begin; row < end; ++row) {
      const float* top = x + (row / s.oh * s.h + row % s.oh * 2) * s.w * s.c + j;
      for (std::int64_t ow = 0; ow < s.ow; ++ow) {
        const std::int64_t at = (row * s.ow + ow) * s.c + j;
        const float* corner = top + 2 * ow * s.c;
        const I32 where = load_indices(indices + at, n);
        F32 v = zero();
        for (int k = 0; k < 4; ++k) {
          const F32 here = load_part(corner + (k / 2 * s.w + k % 2) * s.c, n);
          v = k == 0 ? here : select(eq_i(where, set1_i(k)), here, v);
        }
        const F32 d = load_part(dy + at, n);
        const F32 g = y ? select(gt(load_part(y + at, n), zero()), d, zero()) : d;
        s0 = add(s0, g);
        s1 = fma(g, sub(v, m), s1);
      }
    }
    store_part(sum_dy + j, s0, n);
    store_part(sum_dy_xhat + j, mul(s1, load_part(rstd + j, n)), n);
  }
}

// dx = scale * (dy - mean_dy - xhat * mean_dy_xhat) for rows [begin, end).
void batchnorm_backward(const float* dy, const float* x, const float* scale, const float* shift,
                        const float* mean, const float* rstd, const float* mean_dy,
                        const float* mean_dy_xhat, bool relu, float* dx, std::int64_t c,
                        std::int64_t begin, std::int64_t end) {
  for (std::int64_t j = 0; j < c; j += kLanes) {
    const std::int64_t n = c - j;
    const F32 a = load_part(scale + j, n), b = load_part(shift + j, n);
    const F32 m = load_part(mean + j, n), mg = load_part(mean_dy + j, n);
    const F32 k = mul(load_part(rstd + j, n), load_part(mean_dy_xhat + j, n));
    for (std::int64_t r = begin; r < end; ++r) {
      const F32 xv = load_part(x + r * c + j, n);
      const F32 g = through_relu(load_part(dy + r * c + j, n), xv, a, b, relu);
      const F32 centred = fnma(sub(xv, m), k, sub(g, mg));
      store_part(dx + r * c + j, mul(a, centred), n);
    }
  }
}

// Column sums of rows [begin, end): bias gradients.
void sum_rows(const float* x, std::int64_t c, std::int64_t begin, std::int64_t end, float* sum) {
  for (std::int64_t j = 0; j < c; j += kLanes) {
    const std::int64_t n = c - j;
    F32 s[4] = {zero(), zero(), zero(), zero()};
    std::int64_t r = begin;
    for (; r + 3 < end; r += 4)
      for (int i = 0; i < 4; ++i) s[i] = add(s[i], load_part(x + (r + i) * c + j, n));
    for (; r < end; ++r) s[0] = add(s[0], load_part(x + r * c + j, n));
    store_part(sum + j, add(add(s[0], s[1]), add(s[2], s[3])), n);
  }
}

// out = dy where y > 0, else 0, and its column sums: ReLU and bias in one pass over rows
// [begin, end). out may be dy.
void relu_sum_rows(const float* dy, const float* y, std::int64_t c, std::int64_t begin,
                   std::int64_t end, float* out, float* sum) {
  for (std::int64_t j = 0; j < c; j += kLanes) {
    const std::int64_t n = c - j;
    F32 s[2] = {zero(), zero()};
    for (std::int64_t r = begin; r < end; ++r) {
      const F32 v = load_part(y + r * c + j, n);
      const F32 g = select(gt(v, zero()), load_part(dy + r * c + j, n), zero());
      store_part(out + r * c + j, g, n);
      s[r & 1] = add(s[r & 1], g);
    }
    store_part(sum + j, add(s[0], s[1]), n);
  }
}

CONVKIT_END_KERNELS
