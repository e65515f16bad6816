// The sums behind L1 and L2 penalties, and their gradients, in one pass.
#pragma once

#include "simd.h"

CONVKIT_BEGIN_KERNELS

// So many vectors are added in float32 before they go into the double: few enough that the sum is
// good to some 1e-6, many enough that the doubles cost nothing.
constexpr std::int64_t kRegularizerRun = 64;

// sums[0] = sum |w|, sums[1] = sum w^2; g += l1 * sign(w) + twice_l2 * w unless g is null, where
// sign(0) is 0.
void regularize(const float* w, float* g, std::int64_t n, float l1, float twice_l2, double* sums) {
  const F32 plus = set1(l1), minus = set1(-l1), l2 = set1(twice_l2);
  double absolute = 0.0, square = 0.0;
  for (std::int64_t run = 0; run < n; run += kRegularizerRun * kLanes) {
    const std::int64_t end =
        run + kRegularizerRun * kLanes < n ? run + kRegularizerRun * kLanes : n;
    F32 a = zero(), s = zero();
    for (std::int64_t i = run; i < end; i += kLanes) {
      const F32 wi = load_part(w + i, end - i);
      a = add(a, abs(wi));
      s = fma(wi, wi, s);
      if (!g) continue;
      const F32 sign = select(gt(wi, zero()), plus, select(gt(zero(), wi), minus, zero()));
      store_part(g + i, fma(wi, l2, add(load_part(g + i, end - i), sign)), end - i);
    }
    absolute += static_cast<double>(sum_lanes(a));
    square += static_cast<double>(sum_lanes(s));
  }
  sums[0] = absolute;
  sums[1] = square;
}

CONVKIT_END_KERNELS
