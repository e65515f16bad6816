// Dense layers: 1 x 1 convolutions of a single row of N positions. Bias gradients.
#pragma once

#include "conv_output.h"

namespace convkit::ops {

// (N, OC) = x (N, C) w (C, OC) + b, then the activation; b may be null.
void dense_forward(std::int64_t n, std::int64_t c, std::int64_t oc, const float* x, const float* w,
                   const float* b, const ConvOutput& out);
void dense_backward_input(std::int64_t n, std::int64_t c, std::int64_t oc, const float* dy,
                          const float* w, float* dx);
void dense_backward_weights(std::int64_t n, std::int64_t c, std::int64_t oc, const float* x,
                            const float* dy, float* dw);

// y (rows, C) = x + b, then ReLU when asked for; b may be null, and y may be x.
void bias_forward(std::int64_t rows, std::int64_t c, const float* x, const float* b, bool relu,
                  float* y);

// out (rows, C) = dy where y > 0, else 0, and db (C) its column sums; out may be dy.
void bias_relu_backward(std::int64_t rows, std::int64_t c, const float* dy, const float* y,
                        float* out, float* db);

// db (C) = the column sums of dy (rows, C).
void bias_backward(std::int64_t rows, std::int64_t c, const float* dy, float* db);

}  // namespace convkit::ops
