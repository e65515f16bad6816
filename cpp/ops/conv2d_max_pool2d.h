// A convolution, its ReLU and a 2 x 2 max pool behind it as one operation, so that the
// convolution's whole output need not be kept.
#pragma once

#include "../shapes.h"

namespace convkit::ops {

// y (N, OH / 2, OW / 2, OC): the maxima of the convolution's outputs over windows of 2 x 2, and the
// position of each in its window; an odd last row or column is left out. b may be null.
void conv2d_max_pool2d_forward(const ConvShape& s, const float* x, const float* w, const float* b,
                               bool relu, float* y, std::uint8_t* indices);

// Gradients from dy, shaped like y. Each of dx, dw and db may be null.
void conv2d_max_pool2d_backward(const ConvShape& s, const float* x, const float* w, const float* y,
                                const std::uint8_t* indices, const float* dy, bool relu, float* dx,
                                float* dw, float* db);

}  // namespace convkit::ops
