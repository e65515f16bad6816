// Convolutions over threads: scratch memory, packing of weights, choice of algorithm, cutting.
#pragma once

#include "../shapes.h"

namespace convkit::ops {

enum class Direction { kForward, kBackwardInput, kBackwardWeights };

// The algorithm that the shape would get.
const char* conv2d_algorithm(const ConvShape& s, Direction direction);

// Whether every convolution is to take the direct algorithm.
void set_conv2d_direct(bool only);
bool conv2d_direct();

// Whether the shape may take Winograd's algorithm.
bool winograd_allowed(const ConvShape& s);

// y (N, OH, OW, OC) = x * w + b, then ReLU when asked for; b may be null.
void conv2d_forward(const ConvShape& s, const float* x, const float* w, const float* b, bool relu,
                    float* y);
// dx (N, H, W, C) from dy (N, OH, OW, OC).
void conv2d_backward_input(const ConvShape& s, const float* dy, const float* w, float* dx);
// dw (KH, KW, C / groups, OC).
void conv2d_backward_weights(const ConvShape& s, const float* x, const float* dy, float* dw);

// All gradients together, from the gradient dy behind ReLU (whose output was y; null without) and a
// 2 x 2 max pool (indices; null without, else OH and OW are even). Each of dx, dw, db may be null.
void conv2d_backward(const ConvShape& s, const float* x, const float* w, const float* dy,
                     const float* y, const std::uint8_t* indices, float* dx, float* dw, float* db);

}  // namespace convkit::ops
