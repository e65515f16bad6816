// Element-wise activations, softmax and dropout over threads.
#pragma once

#include "../shapes.h"

namespace convkit::ops {

// Elements that an activation and what comes before it take together, in a first-level cache.
constexpr std::int64_t kNearElements = 1 << 12;

// Whether the derivative is computed from the input x, which is v below.
bool reads_input(Activation kind);

void activation_forward(Activation kind, const float* x, float* y, std::int64_t n,
                        ActivationParameters given);
// v is the input x where the kind reads it, the output y for the others.
void activation_backward(Activation kind, const float* dy, const float* v, float* dx,
                         std::int64_t n, ActivationParameters given);

// Over rows of k; peak and sum (rows) may be null: the row's maximum and sum of e^(x - maximum).
void softmax_forward(const float* x, float* y, std::int64_t rows, std::int64_t k, float* peak,
                     float* sum);
void softmax_backward(const float* dy, const float* y, float* dx, std::int64_t rows,
                      std::int64_t k);

// y = x - log(sum of e^x) for each row, computed from x less its maximum.
void log_softmax_forward(const float* x, float* y, std::int64_t rows, std::int64_t k);
void log_softmax_backward(const float* dy, const float* y, float* dx, std::int64_t rows,
                          std::int64_t k);

// Keeps an element with probability 1 - rate and divides it by that; a pure function of the seed,
// the offset and the element's number, counted from `first`.
void dropout(const float* x, float* y, std::int64_t n, std::int64_t first, double rate,
             std::uint64_t seed, std::uint64_t offset);

}  // namespace convkit::ops
