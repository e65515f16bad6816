// Layer normalisation over threads, on (rows, K) matrices.
#pragma once

#include <cstdint>

namespace convkit::ops {

// y = (x - mean) * rstd * gamma + beta, row by row, and the rows' mean and rstd (rows), where rstd
// is 1 / sqrt(variance + epsilon). gamma and beta (K) may be null, for 1 and 0.
void layernorm_forward(std::int64_t rows, std::int64_t k, const float* x, const float* gamma,
                       const float* beta, double epsilon, float* y, float* mean, float* rstd);

// dx (rows, K), which may be dy or x, and dgamma and dbeta (K); each may be null.
void layernorm_backward(std::int64_t rows, std::int64_t k, const float* dy, const float* x,
                        const float* gamma, const float* mean, const float* rstd, float* dx,
                        float* dgamma, float* dbeta);

}  // namespace convkit::ops
