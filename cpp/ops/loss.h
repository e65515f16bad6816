// Losses and accuracy of classes: the samples' losses and the gradient of their reduction.
#pragma once

#include <cstdint>

#include "loss_rows.h"

namespace convkit::ops {

// The targets of a classification: class numbers (N, P), of either type, or a distribution
// (N, P, K) when both are null. The share `smoothing` of each is spread over all classes. Rows of
// the class `ignored` do not count where `ignores` says so, as if they were not there.
struct Targets {
  const std::int64_t* labels;
  const std::uint8_t* bytes;
  const float* distribution;
  double smoothing;
  bool ignores;
  std::int64_t ignored;
};

// Throws std::invalid_argument where a class number is not in [0, k), nor the ignored one.
void check_labels(std::int64_t rows, std::int64_t k, const Targets& targets);

// All that take targets check their labels, for a call that is made again may find others.

// probs = softmax(logits), and the cross-entropies of its rows.
void softmax_cross_entropy(const LossShape& s, const float* logits, const Targets& targets,
                           float* probs, float* dlogits, float* losses);

// From probabilities as Keras takes them: divided by their sum, clipped to [1e-7, 1 - 1e-7].
void cross_entropy(const LossShape& s, const float* probs, const Targets& targets, float* dprobs,
                   float* losses);

// The cross-entropy of each class times alpha (1 - p)^gamma, from logits, whose softmax is written
// to probs, or from probabilities (probs is null then). alpha: one number, or one a class.
struct Focus {
  const float* alpha;
  bool by_class;
  double gamma;
};
void categorical_focal_cross_entropy(const LossShape& s, const float* y, const Targets& targets,
                                     const Focus& focus, float* probs, float* dy, float* losses);

// Rows whose largest output (the first, among equals) is the target's class.
std::int64_t count_correct(std::int64_t rows, std::int64_t k, const float* y,
                           const Targets& targets);

}  // namespace convkit::ops
