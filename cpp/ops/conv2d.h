// Convolutions over threads: scratch memory, packing of weights, choice of algorithm, cutting.
#pragma once

#include "../shapes.h"
#include "conv_output.h"
#include "output_gradient.h"

namespace convkit::ops {

enum class Direction { kForward, kBackwardInput, kBackwardWeights };

// The algorithm that the shape would get.
const char* conv2d_algorithm(const ConvShape& s, Direction direction);

// Whether the shape may take Winograd's algorithm.
bool winograd_allowed(const ConvShape& s);

// y (N, OH, OW, OC) = x * w + b + residual, then the activation; b and residual may be null, the
// latter be y itself. The statistics of y are taken where a batch normalisation is behind.
void conv2d_forward(const ConvShape& s, const float* x, const float* w, const float* b,
                    const ConvOutput& out, const BatchStatistics* statistics = nullptr);
// dx (N, H, W, C) from dy (N, OH, OW, OC), written or added to what dx holds.
void conv2d_backward_input(const ConvShape& s, const float* dy, const float* w, bool add_to_dx,
                           float* dx);
// dw (KH, KW, C / groups, OC).
void conv2d_backward_weights(const ConvShape& s, const float* x, const float* dy, float* dw);

// The same where neighbouring positions of x are ldx floats apart, as a direct sum.
void conv2d_backward_weights_strided(const ConvShape& s, const float* x, std::int64_t ldx,
                                     const float* dy, float* dw);

// All gradients together, from that behind the convolution, with the bias's. dx and dw may be null;
// dx may be x: an algorithm writes nothing that it has still to read. With add_to_dx, dx is an
// array of its own, and what it holds is added to.
void conv2d_backward(const ConvShape& s, const float* x, const float* w,
                     const OutputGradient& output, bool add_to_dx, float* dx, float* dw);

}  // namespace convkit::ops
