// A convolution, the batch normalisation of its output, ReLU and a 2 x 2 max pool as one operation.
#pragma once

#include "../shapes.h"
#include "batchnorm.h"

namespace convkit::ops {

// z (N, OH, OW, OC) is the convolution's output and y the normalised, (N, OH / 2, OW / 2, OC) where
// there are indices and hence a pool: an odd last row or column of z is left out of it. mean and
// rstd (OC) and the moving statistics as in batchnorm_forward. b may be null. A residual, null or
// shaped like z and not beside a pool, is added to the normalised before the activation; it may be
// y. A pool goes with ReLU or no activation.
void conv2d_batchnorm_forward(const ConvShape& s, const float* x, const float* w, const float* b,
                              const float* gamma, const float* beta, float* moving_mean,
                              float* moving_variance, double momentum, double epsilon,
                              const float* residual, const Epilogue& behind, float* z, float* mean,
                              float* rstd, float* y, std::uint8_t* indices);

// y as above but from the moving statistics, which are folded into the weights; z is not kept.
void conv2d_batchnorm_inference(const ConvShape& s, const float* x, const float* w, const float* b,
                                const float* gamma, const float* beta, const float* moving_mean,
                                const float* moving_variance, double epsilon, const float* residual,
                                const Epilogue& behind, float* y, std::uint8_t* indices);

// Gradients from dy, shaped like y; norm.x is z. Indices are null without a pool, and y without
// both a pool and a residual that ReLU was behind. dresidual, which may be dy, becomes the gradient
// of what such a ReLU, or any other activation, was applied to, and the residual's; null elsewhere.
// Each of dx, dw and db may be null; dx is added to what it holds with add_to_dx.
void conv2d_batchnorm_backward(const ConvShape& s, const float* x, const float* w,
                               const BatchNorm& norm, const float* dy, const float* y,
                               const std::uint8_t* indices, float* dresidual, bool add_to_dx,
                               float* dx, float* dw, float* db, float* dgamma, float* dbeta);

}  // namespace convkit::ops
