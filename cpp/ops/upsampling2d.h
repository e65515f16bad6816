// Larger images, by repeated pixels or by bilinear interpolation, and the gradient.
#pragma once

#include "../shapes.h"

namespace convkit::ops {

// Images (n, h, w, c) become (n, h * size_h, w * size_w, c).
struct UpsamplingShape {
  std::int64_t n, h, w, c;
  std::int64_t size_h, size_w;
  bool bilinear;
};

void upsampling2d_forward(const UpsamplingShape& s, const float* x, float* y);
void upsampling2d_backward(const UpsamplingShape& s, const float* dy, float* dx);

}  // namespace convkit::ops
