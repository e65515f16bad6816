// Images with every pixel repeated, or with bilinear interpolation between pixels, and the adjoint.
// Both axes are taken one after the other, the rows first, whose neighbours in memory are
// independent of each other.
#pragma once

#include "pairwise.h"

CONVKIT_BEGIN_KERNELS

// to = near * a + far * b, n floats.
inline void blend(const float* a, const float* b, float near, float far, std::int64_t n,
                  float* to) {
  for (std::int64_t i = 0; i < n; i += kLanes) {
    const F32 own = mul(set1(near), load_part(a + i, n - i));
    store_part(to + i, fma(set1(far), load_part(b + i, n - i), own), n - i);
  }
}

inline void copy_row(const float* from, std::int64_t n, float* to) {
  for (std::int64_t i = 0; i < n; i += kLanes)
    store_part(to + i, load_part(from + i, n - i), n - i);
}

// The input beside input q that output i has a share of.
CONVKIT_INLINE std::int64_t beside(const UpsampledAxis& axis, std::int64_t q, std::int64_t i) {
  return 2 * (i - q * axis.factor) + 1 < axis.factor ? q - 1 : q + 1;
}

// One row of pixels with all its columns.
inline void widen(const UpsampledAxis& axis, std::int64_t c, const float* from, float* to) {
  for (std::int64_t q = 0; q < axis.size; ++q) {
    for (std::int64_t k = 0; k < c; k += kLanes) {
      const F32 own = load_part(from + q * c + k, c - k);
      for (std::int64_t i = q * axis.factor; i < (q + 1) * axis.factor; ++i) {
        F32 value = own;
        if (axis.far[i] != 0.0f) {
          const F32 other = load_part(from + beside(axis, q, i) * c + k, c - k);
          value = fma(set1(axis.far[i]), other, mul(set1(axis.near[i]), own));
        }
        store_part(to + i * c + k, value, c - k);
      }
    }
  }
}

// y's rows that belong to the input rows [begin, end) of N * H; scratch: a row of x.
void upsampling2d_forward(const Upsampling& s, const float* x, float* y, std::int64_t begin,
                          std::int64_t end, float* scratch) {
  const UpsampledAxis& rows = s.rows;
  const std::int64_t narrow = s.columns.size * s.c, wide = narrow * s.columns.factor;
  for (std::int64_t row = begin; row < end; ++row) {
    const std::int64_t q = row % rows.size, image = row - q;
    bool same = false;  // whether the output row before is the same
    for (std::int64_t i = q * rows.factor; i < (q + 1) * rows.factor; ++i) {
      float* to = y + (image * rows.factor + i) * wide;
      if (rows.far[i] != 0.0f) {
        const float* other = x + (image + beside(rows, q, i)) * narrow;
        blend(x + row * narrow, other, rows.near[i], rows.far[i], narrow, scratch);
        widen(s.columns, s.c, scratch, to);
        same = false;
      } else if (same) {
        copy_row(to - wide, wide, to);
      } else {
        widen(s.columns, s.c, x + row * narrow, to);
        same = true;
      }
    }
  }
}

// The outputs that have a share of input q, and which of them are its own.
struct Shares {
  const UpsampledAxis& axis;
  std::int64_t own, begin, end;

  Shares(const UpsampledAxis& a, std::int64_t q) : axis(a), own(q * a.factor) {
    begin = q > 0 ? own - a.reach : own;
    end = own + a.factor + (q < a.size - 1 ? a.reach : 0);
  }
  CONVKIT_INLINE F32 weight(std::int64_t i) const {
    return set1(i < own || i >= own + axis.factor ? axis.far[i] : axis.near[i]);
  }
};

// Behind a call, for few factors are so large.
__attribute__((noinline)) F32 long_sum_of_shares(const Shares& s, const float* from,
                                                 std::int64_t stride, std::int64_t n) {
  RunningSum<kSumBlock> sum;
  for (std::int64_t i = s.begin; i < s.end; ++i)
    sum.add_product(s.weight(i), load_part(from + i * stride, n));
  return sum.total();
}

CONVKIT_INLINE F32 sum_of_shares(const Shares& s, const float* from, std::int64_t stride,
                                 std::int64_t n) {
  if (s.end - s.begin > kSumBlock) return long_sum_of_shares(s, from, stride, n);
  F32 sum = zero();
  for (std::int64_t i = s.begin; i < s.end; ++i)
    sum = fma(s.weight(i), load_part(from + i * stride, n), sum);
  return sum;
}

// dx's rows [begin, end) of N * H; scratch: a row of dy.
void upsampling2d_backward(const Upsampling& s, const float* dy, float* dx, std::int64_t begin,
                           std::int64_t end, float* scratch) {
  const std::int64_t narrow = s.columns.size * s.c, wide = narrow * s.columns.factor;
  for (std::int64_t row = begin; row < end; ++row) {
    const std::int64_t q = row % s.rows.size;
    const float* image = dy + (row - q) * s.rows.factor * wide;
    const Shares shares(s.rows, q);
    for (std::int64_t i = 0; i < wide; i += kLanes)
      store_part(scratch + i, sum_of_shares(shares, image + i, wide, wide - i), wide - i);
    for (std::int64_t column = 0; column < s.columns.size; ++column) {
      const Shares across(s.columns, column);
      float* to = dx + row * narrow + column * s.c;
      for (std::int64_t k = 0; k < s.c; k += kLanes)
        store_part(to + k, sum_of_shares(across, scratch + k, s.c, s.c - k), s.c - k);
    }
  }
}

CONVKIT_END_KERNELS
