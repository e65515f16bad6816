// Parameter updates over flat arrays, in one parallel pass.
#pragma once

#include <cstdint>

namespace convkit::ops {

// All as Keras computes them. step counts from 1 (else std::invalid_argument), weight_decay is
// decoupled (AdamW).

// peak is null without AMSGrad.
void adam_update(std::int64_t n, float* w, const float* g, float* m, float* v, float* peak,
                 double learning_rate, double beta_1, double beta_2, double epsilon,
                 std::int64_t step, double weight_decay);

// velocity is null without momentum.
void sgd_update(std::int64_t n, float* w, const float* g, float* velocity, double learning_rate,
                double momentum, bool nesterov, double weight_decay);

// momentum_buffer is null without momentum, mean where v is not centred.
void rmsprop_update(std::int64_t n, float* w, const float* g, float* v, float* momentum_buffer,
                    float* mean, double learning_rate, double rho, double momentum, double epsilon,
                    double weight_decay);

void adagrad_update(std::int64_t n, float* w, const float* g, float* sum, double learning_rate,
                    double epsilon, double weight_decay);

void adadelta_update(std::int64_t n, float* w, const float* g, float* v, float* u,
                     double learning_rate, double rho, double epsilon, double weight_decay);

void adamax_update(std::int64_t n, float* w, const float* g, float* m, float* u,
                   double learning_rate, double beta_1, double beta_2, double epsilon,
                   std::int64_t step, double weight_decay);

void nadam_update(std::int64_t n, float* w, const float* g, float* m, float* v,
                  double learning_rate, double beta_1, double beta_2, double epsilon,
                  std::int64_t step, double weight_decay);

void lion_update(std::int64_t n, float* w, const float* g, float* m, double learning_rate,
                 double beta_1, double beta_2, double weight_decay);

// The strengths of the penalties, the power of the sums, and beta.
struct FtrlOptions {
  double power, l1, l2, shrinkage, beta;
};

void ftrl_update(std::int64_t n, float* w, const float* g, float* sum, float* linear,
                 double learning_rate, const FtrlOptions& given, double weight_decay);

}  // namespace convkit::ops
