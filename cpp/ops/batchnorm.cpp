#include "batchnorm.h"

#include <cmath>

#include "../dispatch/cpu.h"
#include "parallel.h"
#include "scratch.h"

namespace convkit::ops {
namespace {

// Rows whose statistics are taken together: fixed, so that the sums' order is.
constexpr std::int64_t kRowsPerBlock = 256;

// One channel's mean and population variance from its blocks (Chan, Golub and LeVeque, 1979).
void combine(std::int64_t rows, std::int64_t c, std::int64_t channel, const float* means,
             const float* deviations, double* mean, double* variance) {
  double total_mean = 0.0, total_deviation = 0.0, count = 0.0;
  for (std::int64_t i = 0, begin = 0; begin < rows; ++i, begin += kRowsPerBlock) {
    const double n =
        static_cast<double>(rows - begin < kRowsPerBlock ? rows - begin : kRowsPerBlock);
    const double delta = means[i * c + channel] - total_mean;
    total_deviation += deviations[i * c + channel] + delta * delta * count * n / (count + n);
    count += n;
    total_mean += delta * n / count;
  }
  *mean = total_mean;
  *variance = total_deviation / count;
}

// The forward pass is y = x * scale + shift.
void scale_and_shift(std::int64_t c, const float* gamma, const float* beta, const float* mean,
                     const float* rstd, float* scale, float* shift) {
  for (std::int64_t j = 0; j < c; ++j) {
    scale[j] = gamma[j] * rstd[j];
    shift[j] = beta[j] - mean[j] * scale[j];
  }
}

void normalise(std::int64_t rows, std::int64_t c, const float* x, const float* scale,
               const float* shift, bool relu, float* y) {
  parallel_ranges(rows, kRowsPerBlock, c, [&](std::int64_t begin, std::int64_t end) {
    kernels().batchnorm_normalise(x, scale, shift, relu, y, c, begin, end);
  });
}

}  // namespace

void batchnorm_forward(std::int64_t rows, std::int64_t c, const float* x, const float* gamma,
                       const float* beta, float* moving_mean, float* moving_variance,
                       double momentum, double epsilon, bool relu, float* y, float* mean,
                       float* rstd) {
  Scratch scratch;
  const std::int64_t blocks = ceil_div(rows, kRowsPerBlock);
  float* means = scratch.take(blocks * c);
  float* deviations = scratch.take(blocks * c);
  float* scale = scratch.take(c);
  float* shift = scratch.take(c);
  parallel_ranges(rows, kRowsPerBlock, c, [&](std::int64_t begin, std::int64_t end) {
    const std::int64_t at = begin / kRowsPerBlock * c;
    kernels().batchnorm_statistics(x, c, begin, end, means + at, deviations + at);
  });
  for (std::int64_t j = 0; j < c; ++j) {
    double m, variance;
    combine(rows, c, j, means, deviations, &m, &variance);
    mean[j] = static_cast<float>(m);
    rstd[j] = static_cast<float>(1.0 / std::sqrt(variance + epsilon));
    moving_mean[j] = static_cast<float>(momentum * moving_mean[j] + (1.0 - momentum) * m);
    moving_variance[j] =
        static_cast<float>(momentum * moving_variance[j] + (1.0 - momentum) * variance);
  }
  scale_and_shift(c, gamma, beta, mean, rstd, scale, shift);
  normalise(rows, c, x, scale, shift, relu, y);
}

void batchnorm_inference(std::int64_t rows, std::int64_t c, const float* x, const float* gamma,
                         const float* beta, const float* moving_mean, const float* moving_variance,
                         double epsilon, bool relu, float* y) {
  Scratch scratch;
  float* rstd = scratch.take(c);
  float* scale = scratch.take(c);
  float* shift = scratch.take(c);
  for (std::int64_t j = 0; j < c; ++j)
    rstd[j] =
        static_cast<float>(1.0 / std::sqrt(static_cast<double>(moving_variance[j]) + epsilon));
  scale_and_shift(c, gamma, beta, moving_mean, rstd, scale, shift);
  normalise(rows, c, x, scale, shift, relu, y);
}

void batchnorm_backward(std::int64_t rows, std::int64_t c, const float* dy, const float* x,
                        const float* gamma, const float* beta, const float* mean, const float* rstd,
                        bool relu, float* dx, float* dgamma, float* dbeta) {
  Scratch scratch;
  const std::int64_t blocks = ceil_div(rows, kRowsPerBlock);
  float* sums = scratch.take(blocks * c);
  float* products = scratch.take(blocks * c);
  float* scale = scratch.take(c);
  float* shift = scratch.take(c);
  float* mean_dy = scratch.take(c);
  float* mean_dy_xhat = scratch.take(c);
  scale_and_shift(c, gamma, beta, mean, rstd, scale, shift);
  parallel_ranges(rows, kRowsPerBlock, c, [&](std::int64_t begin, std::int64_t end) {
    const std::int64_t at = begin / kRowsPerBlock * c;
    kernels().batchnorm_reduce(dy, x, scale, shift, mean, rstd, relu, c, begin, end, sums + at,
                               products + at);
  });
  for (std::int64_t j = 0; j < c; ++j) {
    double sum = 0.0, product = 0.0;
    for (std::int64_t i = 0; i < blocks; ++i) {
      sum += sums[i * c + j];
      product += products[i * c + j];
    }
    dbeta[j] = static_cast<float>(sum);
    dgamma[j] = static_cast<float>(product);
    mean_dy[j] = static_cast<float>(sum / static_cast<double>(rows));
    mean_dy_xhat[j] = static_cast<float>(product / static_cast<double>(rows));
  }
  parallel_ranges(rows, kRowsPerBlock, c, [&](std::int64_t begin, std::int64_t end) {
    kernels().batchnorm_backward(dy, x, scale, shift, mean, rstd, mean_dy, mean_dy_xhat, relu, dx,
                                 c, begin, end);
  });
}

}  // namespace convkit::ops
