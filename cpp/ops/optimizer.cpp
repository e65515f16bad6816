#include "optimizer.h"

#include <cmath>
#include <stdexcept>
#include <string>

#include "../dispatch/cpu.h"
#include "parallel.h"

namespace convkit::ops {
namespace {

constexpr std::int64_t kElementsPerTask = 1 << 14;

// A step's number as powers take it.
double checked(std::int64_t step) {
  if (step < 1) {
    throw std::invalid_argument("step counts from 1, but is " + std::to_string(step));
  }
  return static_cast<double>(step);
}

// The product of Nadam's momenta beta_1 (1 - 0.96^i / 2) up to step t, of which all but the first
// thousand are beta_1 to the last bit.
double momentum_product(double beta_1, double t) {
  double product = std::pow(beta_1, t), power = 1.0;
  for (std::int64_t i = 1; static_cast<double>(i) <= t && power > 1e-18; ++i) {
    power *= 0.96;
    product *= 1.0 - 0.5 * power;
  }
  return product;
}

}  // namespace

void adam_update(std::int64_t n, float* w, const float* g, float* m, float* v, float* peak,
                 double learning_rate, double beta_1, double beta_2, double epsilon,
                 std::int64_t step, double weight_decay) {
  const double t = checked(step);
  const double alpha =
      learning_rate * std::sqrt(1.0 - std::pow(beta_2, t)) / (1.0 - std::pow(beta_1, t));
  const double decay = learning_rate * weight_decay;
  parallel_ranges(n, kElementsPerTask, 1, [&](std::int64_t begin, std::int64_t end) {
    kernels().adam_update(w + begin, g + begin, m + begin, v + begin, peak ? peak + begin : nullptr,
                          end - begin, static_cast<float>(alpha), static_cast<float>(1.0 - beta_1),
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
                    float* mean, double learning_rate, double rho, double momentum, double epsilon,
                    double weight_decay) {
  parallel_ranges(n, kElementsPerTask, 1, [&](std::int64_t begin, std::int64_t end) {
    kernels().rmsprop_update(
        w + begin, g + begin, v + begin, momentum_buffer ? momentum_buffer + begin : nullptr,
        mean ? mean + begin : nullptr, end - begin, static_cast<float>(learning_rate),
        static_cast<float>(1.0 - rho), static_cast<float>(momentum), static_cast<float>(epsilon),
        static_cast<float>(learning_rate * weight_decay));
  });
}

void adagrad_update(std::int64_t n, float* w, const float* g, float* sum, double learning_rate,
                    double epsilon, double weight_decay) {
  parallel_ranges(n, kElementsPerTask, 1, [&](std::int64_t begin, std::int64_t end) {
    kernels().adagrad_update(w + begin, g + begin, sum + begin, end - begin,
                             static_cast<float>(learning_rate), static_cast<float>(epsilon),
                             static_cast<float>(learning_rate * weight_decay));
  });
}

void adadelta_update(std::int64_t n, float* w, const float* g, float* v, float* u,
                     double learning_rate, double rho, double epsilon, double weight_decay) {
  parallel_ranges(n, kElementsPerTask, 1, [&](std::int64_t begin, std::int64_t end) {
    kernels().adadelta_update(w + begin, g + begin, v + begin, u + begin, end - begin,
                              static_cast<float>(learning_rate), static_cast<float>(1.0 - rho),
                              static_cast<float>(epsilon),
                              static_cast<float>(learning_rate * weight_decay));
  });
}

void adamax_update(std::int64_t n, float* w, const float* g, float* m, float* u,
                   double learning_rate, double beta_1, double beta_2, double epsilon,
                   std::int64_t step, double weight_decay) {
  const double alpha = learning_rate / (1.0 - std::pow(beta_1, checked(step)));
  parallel_ranges(n, kElementsPerTask, 1, [&](std::int64_t begin, std::int64_t end) {
    kernels().adamax_update(w + begin, g + begin, m + begin, u + begin, end - begin,
                            static_cast<float>(alpha), static_cast<float>(1.0 - beta_1),
                            static_cast<float>(beta_2), static_cast<float>(epsilon),
                            static_cast<float>(learning_rate * weight_decay));
  });
}

void nadam_update(std::int64_t n, float* w, const float* g, float* m, float* v,
                  double learning_rate, double beta_1, double beta_2, double epsilon,
                  std::int64_t step, double weight_decay) {
  const double t = checked(step), so_far = momentum_product(beta_1, t);
  const double now = beta_1 * (1.0 - 0.5 * std::pow(0.96, t));
  const double next = beta_1 * (1.0 - 0.5 * std::pow(0.96, t + 1.0));
  const double of_m = learning_rate * next / (1.0 - so_far * next);
  const double of_g = learning_rate * (1.0 - now) / (1.0 - so_far);
  const double of_v = 1.0 / (1.0 - std::pow(beta_2, t));
  parallel_ranges(n, kElementsPerTask, 1, [&](std::int64_t begin, std::int64_t end) {
    kernels().nadam_update(w + begin, g + begin, m + begin, v + begin, end - begin,
                           static_cast<float>(of_m), static_cast<float>(of_g),
                           static_cast<float>(of_v), static_cast<float>(1.0 - beta_1),
                           static_cast<float>(1.0 - beta_2), static_cast<float>(epsilon),
                           static_cast<float>(learning_rate * weight_decay));
  });
}

void lion_update(std::int64_t n, float* w, const float* g, float* m, double learning_rate,
                 double beta_1, double beta_2, double weight_decay) {
  parallel_ranges(n, kElementsPerTask, 1, [&](std::int64_t begin, std::int64_t end) {
    kernels().lion_update(w + begin, g + begin, m + begin, end - begin,
                          static_cast<float>(learning_rate), static_cast<float>(beta_1),
                          static_cast<float>(beta_2),
                          static_cast<float>(learning_rate * weight_decay));
  });
}

void ftrl_update(std::int64_t n, float* w, const float* g, float* sum, float* linear,
                 double learning_rate, const FtrlOptions& given, double weight_decay) {
  const FtrlNumbers numbers = {
      .per_rate = static_cast<float>(1.0 / learning_rate),
      .power = static_cast<float>(given.power),
      .l1 = static_cast<float>(given.l1),
      .twice_l2 = static_cast<float>(2.0 * given.l2 + given.beta / learning_rate),
      .twice_shrinkage = static_cast<float>(2.0 * given.shrinkage),
  };
  parallel_ranges(n, kElementsPerTask, 1, [&](std::int64_t begin, std::int64_t end) {
    kernels().ftrl_update(w + begin, g + begin, sum + begin, linear + begin, end - begin, numbers,
                          static_cast<float>(learning_rate * weight_decay));
  });
}

}  // namespace convkit::ops
