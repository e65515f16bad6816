// Parameter updates over flat arrays, in one parallel pass.
#pragma once

#include <cstdint>

namespace convkit::ops {

// Adam as Keras computes it; step counts from 1 (else std::invalid_argument), weight_decay is
// decoupled (AdamW).
void adam_update(std::int64_t n, float* w, const float* g, float* m, float* v, double learning_rate,
                 double beta_1, double beta_2, double epsilon, std::int64_t step,
                 double weight_decay);

// velocity is null without momentum.
void sgd_update(std::int64_t n, float* w, const float* g, float* velocity, double learning_rate,
                double momentum, bool nesterov, double weight_decay);

// RMSprop as Keras computes it; momentum_buffer is null without momentum.
void rmsprop_update(std::int64_t n, float* w, const float* g, float* v, float* momentum_buffer,
                    double learning_rate, double rho, double momentum, double epsilon,
                    double weight_decay);

}  // namespace convkit::ops
