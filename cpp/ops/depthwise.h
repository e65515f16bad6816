// Convolutions with a group a channel: each input channel gives OC / C output channels of its own.
#pragma once

#include "../shapes.h"
#include "conv_output.h"
#include "output_gradient.h"

namespace convkit::ops {

bool depthwise_accepts(const ConvShape& s);

void depthwise_forward(const ConvShape& s, const float* x, const float* w, const float* b,
                       const ConvOutput& out, const BatchStatistics* statistics);
void depthwise_backward_input(const ConvShape& s, const float* dy, const float* w, bool add_to_dx,
                              float* dx);
void depthwise_backward_weights(const ConvShape& s, const float* x, const float* dy, float* dw);

// Both gradients an image at a time, and the bias's; dx or dw may be null. For at least
// kBatchPieces images. The bits are those of the two above.
void depthwise_backward(const ConvShape& s, const float* x, const float* w,
                        const OutputGradient& output, bool add_to_dx, float* dx, float* dw);

}  // namespace convkit::ops
