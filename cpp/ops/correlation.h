// A convolution's forward pass and input gradient as correlations.
#pragma once

#include "../shapes.h"
#include "scratch.h"

namespace convkit::ops {

// The geometry of y from x: everything but pointers, channels and taps.
Correlation forward_correlation(const ConvShape& s);
// Its taps that fall on the image for some output, at most KH * KW; returns how many. The weights
// of the kernel's position t are at w + t * tap_stride.
std::int64_t forward_taps(const ConvShape& s, const float* w, std::int64_t tap_stride, Tap* taps);

// The input gradient is a correlation for each phase (h % stride_h, w % stride_w) of the input's
// positions that taps fall on; the gradient of the other positions is zero. There are no more
// phases than taps, however large the stride, nor than positions.
class Phases {
 public:
  Phases(const ConvShape& s, Scratch& scratch);

  std::int64_t count() const { return rows_.count * columns_.count; }
  // Whether every position of the input has one.
  bool cover() const { return rows_.cover && columns_.cover; }
  // The geometry of dx from dy for phase i.
  Correlation correlation(std::int64_t i) const;
  // The taps that fall on phase i for some position; returns how many. Each is one of one phase.
  std::int64_t taps(std::int64_t i, const float* w, std::int64_t tap_stride, Tap* taps) const;

 private:
  struct Axis {
    std::int64_t* phases;
    std::int64_t count;
    bool cover;
  };
  static Axis axis(std::int64_t size, std::int64_t kernel, std::int64_t stride,
                   std::int64_t dilation, std::int64_t pad, Scratch& scratch);

  ConvShape s_;
  Axis rows_, columns_;
};

}  // namespace convkit::ops
