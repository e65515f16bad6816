#include "optimizer.h"

#include <cmath>
#include <stdexcept>
#include <string>

#include "../dispatch/cpu.h"
#include "parallel.h"

namespace convkit::ops {
namespace {

constexpr std::int64_t kElementsPerTask = 1 << 14;

}  // namespace

void adam_update(std::int64_t n, float* w, const float* g, float* m, float* v, double learning_rate,
                 double beta_1, double beta_2, double epsilon, std::int64_t step,
                 double weight_decay) {
  if (step < 1) {
    throw std::invalid_argument("step counts from 1, but is " + std::to_string(step));
  }
  const double t = static_cast<double>(step);
  const double alpha =
      learning_rate * std::sqrt(1.0 - std::pow(beta_2, t)) / (1.0 - std::pow(beta_1, t));
  const double decay = learning_rate * weight_decay;
  parallel_ranges(n, kElementsPerTask, 1, [&](std::int64_t begin, std::int64_t end) {
    kernels().adam_update(w + begin, g + begin, m + begin, v + begin, end - begin,
                          static_cast<float>(alpha), static_cast<float>(1.0 - beta_1),
                          static_cast<float>(1.0 - beta_2), static_cast<float>(epsilon),
                          static_cast<float>(decay));
  });
}

void sgd_update(std::int64_t n, float* w, const float* g, float* velocity, double learning_rate,
                double momentum, bool nesterov, double weight_decay) {
  parallel_ranges(n, kElementsPerTask, 1, [&](std::int64_t begin, std::int64_t end) {
    kernels().sgd_update(w + begin, g + begin, velocity ? velocity + begin : nullptr, end - begin,
                         static_cast<float>(learning_rate), static_cast<float>(momentum), nesterov,
                         static_cast<float>(learning_rate * weight_decay));
  });
}

void rmsprop_update(std::int64_t n, float* w, const float* g, float* v, float* momentum_buffer,
                    double learning_rate, double rho, double momentum, double epsilon,
                    double weight_decay) {
  parallel_ranges(n, kElementsPerTask, 1, [&](std::int64_t begin, std::int64_t end) {
    kernels().rmsprop_update(w + begin, g + begin, v + begin,
                             momentum_buffer ? momentum_buffer + begin : nullptr, end - begin,
                             static_cast<float>(learning_rate), static_cast<float>(1.0 - rho),
                             static_cast<float>(momentum), static_cast<float>(epsilon),
                             static_cast<float>(learning_rate * weight_decay));
  });
}

}  // namespace convkit::ops
