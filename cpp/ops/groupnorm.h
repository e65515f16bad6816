// Group normalisation over threads, on images (N, rows, C) whose channels are cut into groups.
#pragma once

#include <cstdint>

namespace convkit::ops {

struct GroupShape {
  std::int64_t images, rows, c, groups;
};

// y = (x - mean) * rstd * gamma + beta with the mean and rstd = 1 / sqrt(variance + epsilon) of the
// image's and the channel's group, (N, groups), which are written, too. gamma and beta (C) may be
// null, for 1 and 0.
void groupnorm_forward(const GroupShape& s, const float* x, const float* gamma, const float* beta,
                       double epsilon, float* y, float* mean, float* rstd);

// dx, which may be dy or x, and dgamma and dbeta (C); each may be null.
void groupnorm_backward(const GroupShape& s, const float* dy, const float* x, const float* gamma,
                        const float* mean, const float* rstd, float* dx, float* dgamma,
                        float* dbeta);

// y (rows, C) = (x - mean) * scale with one of each a channel.
void centred_scaling(std::int64_t rows, std::int64_t c, const float* x, const float* mean,
                     const float* scale, float* y);

}  // namespace convkit::ops
