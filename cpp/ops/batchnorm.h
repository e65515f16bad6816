// Batch normalisation over threads, on (rows, C) matrices.
#pragma once

#include <cstdint>

namespace convkit::ops {

// y = gamma * (x - mean) * rstd + beta with the batch's own statistics (population variance), then
// ReLU when asked for. mean and rstd (C) are written for the backward pass; the moving statistics
// become momentum * moving + (1 - momentum) * batch.
void batchnorm_forward(std::int64_t rows, std::int64_t c, const float* x, const float* gamma,
                       const float* beta, float* moving_mean, float* moving_variance,
                       double momentum, double epsilon, bool relu, float* y, float* mean,
                       float* rstd);

void batchnorm_inference(std::int64_t rows, std::int64_t c, const float* x, const float* gamma,
                         const float* beta, const float* moving_mean, const float* moving_variance,
                         double epsilon, bool relu, float* y);

void batchnorm_backward(std::int64_t rows, std::int64_t c, const float* dy, const float* x,
                        const float* gamma, const float* beta, const float* mean, const float* rstd,
                        bool relu, float* dx, float* dgamma, float* dbeta);

}  // namespace convkit::ops
