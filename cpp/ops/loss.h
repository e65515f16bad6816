// Losses and accuracy on (N, K) outputs: per-sample losses and the gradient of their mean.
#pragma once

#include <cstdint>

namespace convkit::ops {

// The targets of a classification: class numbers, or a distribution (N, K) when labels is null.
struct Targets {
  const std::int64_t* labels;
  const float* distribution;
};

// Throws std::invalid_argument where a class number is not in [0, k).
void check_labels(std::int64_t n, std::int64_t k, Targets targets);

// All that take targets check their labels, for a call that is made again may find others.

// weights (N) may be null. probs = softmax(logits); losses are cross-entropies times the weights;
// dlogits = weight * (probs * sum of targets - targets) / N.
void softmax_cross_entropy(std::int64_t n, std::int64_t k, const float* logits, Targets targets,
                           const float* weights, float* probs, float* dlogits, float* losses);

// From probabilities as Keras takes them: divided by their sum, clipped to [1e-7, 1 - 1e-7].
void cross_entropy(std::int64_t n, std::int64_t k, const float* probs, Targets targets,
                   const float* weights, float* dprobs, float* losses);

// losses: the mean of (y - target)^2 over each sample's k values, times its weight.
void mean_squared_error(std::int64_t n, std::int64_t k, const float* y, const float* target,
                        const float* weights, float* dy, float* losses);

// losses: the mean of |y - target| over each sample's k values, times its weight.
void mean_absolute_error(std::int64_t n, std::int64_t k, const float* y, const float* target,
                         const float* weights, float* dy, float* losses);

// k yes-or-no questions a sample: the mean of -t log(p) - (1 - t) log(1 - p), times the weight.
// p is y clipped to [1e-7, 1 - 1e-7], or the sigmoid of y; targets move towards 1/2 by the
// smoothing.
void binary_cross_entropy(std::int64_t n, std::int64_t k, const float* y, const float* target,
                          bool from_logits, double label_smoothing, const float* weights, float* dy,
                          float* losses);

// Samples whose largest output (the first, among equals) is the target's class.
std::int64_t count_correct(std::int64_t n, std::int64_t k, const float* y, Targets targets);

}  // namespace convkit::ops
