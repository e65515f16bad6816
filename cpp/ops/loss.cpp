#include "loss.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

#include "activation.h"
#include "scratch.h"

namespace convkit::ops {
namespace {

double target_at(const Targets& targets, std::int64_t i, std::int64_t j, std::int64_t k) {
  if (targets.labels) return targets.labels[i] == j ? 1.0 : 0.0;
  return targets.distribution[i * k + j];
}

double weight_at(const float* weights, std::int64_t i) { return weights ? weights[i] : 1.0; }

std::int64_t first_maximum(const float* y, std::int64_t k) {
  return std::max_element(y, y + k) - y;
}

}  // namespace

void check_labels(std::int64_t n, std::int64_t k, Targets targets) {
  for (std::int64_t i = 0; targets.labels && i < n; ++i) {
    const std::int64_t label = targets.labels[i];
    if (label >= 0 && label < k) continue;
    throw std::invalid_argument("label " + std::to_string(label) + " of sample " +
                                std::to_string(i) + " is not in [0, " + std::to_string(k) +
                                "), the classes of the output");
  }
}

void softmax_cross_entropy(std::int64_t n, std::int64_t k, const float* logits, Targets targets,
                           const float* weights, float* probs, float* dlogits, float* losses) {
  check_labels(n, k, targets);
  Scratch scratch;
  float* peak = scratch.take(n);
  float* sum = scratch.take(n);
  softmax_forward(logits, probs, n, k, peak, sum);
  for (std::int64_t i = 0; i < n; ++i) {
    const double weight = weight_at(weights, i), scale = weight / static_cast<double>(n);
    const double log_sum_exp = peak[i] + std::log(static_cast<double>(sum[i]));
    double loss = 0.0, mass = 0.0;
    for (std::int64_t j = 0; j < k; ++j) {
      const double t = target_at(targets, i, j, k);
      mass += t;
      if (t != 0.0) loss += t * (log_sum_exp - logits[i * k + j]);
    }
    for (std::int64_t j = 0; j < k; ++j) {
      const double d = mass * probs[i * k + j] - target_at(targets, i, j, k);
      dlogits[i * k + j] = static_cast<float>(scale * d);
    }
    losses[i] = static_cast<float>(weight * loss);
  }
}

void cross_entropy(std::int64_t n, std::int64_t k, const float* probs, Targets targets,
                   const float* weights, float* dprobs, float* losses) {
  check_labels(n, k, targets);
  constexpr double kLow = 1e-7, kHigh = 1.0 - 1e-7;
  for (std::int64_t i = 0; i < n; ++i) {
    const float* p = probs + i * k;
    const double weight = weight_at(weights, i), scale = weight / static_cast<double>(n);
    double sum = 0.0;
    for (std::int64_t j = 0; j < k; ++j) sum += p[j];
    // loss = -sum t log(clip(p / sum)); inside the clip's range d/dp_j = -t_j / p_j + mass / sum,
    // mass being what the unclipped targets add up to.
    double loss = 0.0, mass = 0.0;
    for (std::int64_t j = 0; j < k; ++j) {
      const double t = target_at(targets, i, j, k), q = p[j] / sum;
      if (t == 0.0) continue;
      loss -= t * std::log(std::isnan(q) ? q : std::clamp(q, kLow, kHigh));
      if (q >= kLow && q <= kHigh) mass += t;
    }
    for (std::int64_t j = 0; j < k; ++j) {
      const double t = target_at(targets, i, j, k), q = p[j] / sum;
      const double own = t != 0.0 && q >= kLow && q <= kHigh ? t / p[j] : 0.0;
      dprobs[i * k + j] = static_cast<float>(scale * (mass / sum - own));
    }
    losses[i] = static_cast<float>(weight * loss);
  }
}

void mean_squared_error(std::int64_t n, std::int64_t k, const float* y, const float* target,
                        const float* weights, float* dy, float* losses) {
  for (std::int64_t i = 0; i < n; ++i) {
    const double weight = weight_at(weights, i);
    const double scale = 2.0 * weight / (static_cast<double>(n) * static_cast<double>(k));
    double sum = 0.0;
    for (std::int64_t j = i * k; j < (i + 1) * k; ++j) {
      const double d = static_cast<double>(y[j]) - target[j];
      sum += d * d;
      dy[j] = static_cast<float>(scale * d);
    }
    losses[i] = static_cast<float>(weight * sum / static_cast<double>(k));
  }
}

void mean_absolute_error(std::int64_t n, std::int64_t k, const float* y, const float* target,
                         const float* weights, float* dy, float* losses) {
  for (std::int64_t i = 0; i < n; ++i) {
    const double weight = weight_at(weights, i);
    const double scale = weight / (static_cast<double>(n) * static_cast<double>(k));
    double sum = 0.0;
    for (std::int64_t j = i * k; j < (i + 1) * k; ++j) {
      const double d = static_cast<double>(y[j]) - target[j];
      sum += std::abs(d);
      // NaN stays NaN.
      dy[j] = static_cast<float>(scale * (d > 0.0 ? 1.0 : d < 0.0 ? -1.0 : d));
    }
    losses[i] = static_cast<float>(weight * sum / static_cast<double>(k));
  }
}

void binary_cross_entropy(std::int64_t n, std::int64_t k, const float* y, const float* target,
                          bool from_logits, double label_smoothing, const float* weights, float* dy,
                          float* losses) {
  constexpr double kLow = 1e-7, kHigh = 1.0 - 1e-7;
  for (std::int64_t i = 0; i < n; ++i) {
    const double weight = weight_at(weights, i);
    const double scale = weight / (static_cast<double>(n) * static_cast<double>(k));
    double sum = 0.0;
    for (std::int64_t j = i * k; j < (i + 1) * k; ++j) {
      const double v = y[j], t = target[j] * (1.0 - label_smoothing) + 0.5 * label_smoothing;
      double slope;
      if (from_logits) {
        // log(1 + e^v) - t v, written so that e never overflows; its slope is sigmoid(v) - t.
        const double e = std::exp(-std::abs(v));
        sum += (v > 0.0 ? v : 0.0) - t * v + std::log1p(e);
        slope = (v >= 0.0 ? 1.0 : e) / (1.0 + e) - t;
      } else {
        const double p = std::isnan(v) ? v : std::clamp(v, kLow, kHigh);
        sum -= t * std::log(p) + (1.0 - t) * std::log1p(-p);
        slope = v >= kLow && v <= kHigh ? (p - t) / (p * (1.0 - p)) : p == p ? 0.0 : p;
      }
      dy[j] = static_cast<float>(scale * slope);
    }
    losses[i] = static_cast<float>(weight * sum / static_cast<double>(k));
  }
}

std::int64_t count_correct(std::int64_t n, std::int64_t k, const float* y, Targets targets) {
  check_labels(n, k, targets);
  std::int64_t correct = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    const std::int64_t label =
        targets.labels ? targets.labels[i] : first_maximum(targets.distribution + i * k, k);
    if (first_maximum(y + i * k, k) == label) ++correct;
  }
  return correct;
}

}  // namespace convkit::ops
