// A convolution's forward pass and input gradient as correlations.
#pragma once

#include "../shapes.h"

namespace convkit::ops {

// The geometry of y from x: everything but pointers, channels and taps.
Correlation forward_correlation(const ConvShape& s);
// taps: KH * KW of them; the weights of tap t are at w + t * tap_stride.
void forward_taps(const ConvShape& s, const float* w, std::int64_t tap_stride, Tap* taps);

// The input gradient is a correlation for each phase (h % stride_h, w % stride_w) of the input's
// positions; phases beyond the image have no rows, however large the stride.
struct Phases {
  std::int64_t h, w;

  explicit Phases(const ConvShape& s);
  std::int64_t count() const { return h * w; }
};

// The same of dx from dy, for one phase in [0, Phases(s).count()).
Correlation backward_correlation(const ConvShape& s, std::int64_t phase);
// The taps that fall on the phase; returns how many.
std::int64_t backward_taps(const ConvShape& s, std::int64_t phase, const float* w,
                           std::int64_t tap_stride, Tap* taps);

}  // namespace convkit::ops
