#include "loss.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

#include "activation.h"
#include "scratch.h"

namespace convkit::ops {
namespace {

std::int64_t first_maximum(const float* y, std::int64_t k) {
  return std::max_element(y, y + k) - y;
}

bool has_labels(const Targets& t) { return t.labels || t.bytes; }

std::int64_t label_of(const Targets& t, std::int64_t row) {
  return t.labels ? t.labels[row] : t.bytes[row];
}

bool is_ignored(const Targets& t, std::int64_t row) {
  return t.ignores && has_labels(t) && label_of(t, row) == t.ignored;
}

// The targets of one row.
struct RowTarget {
  const float* distribution;
  std::int64_t label;
  double share, rest;

  RowTarget(const Targets& t, std::int64_t row, std::int64_t k)
      : distribution(has_labels(t) ? nullptr : t.distribution + row * k),
        label(has_labels(t) ? label_of(t, row) : -1),
        share(t.smoothing / static_cast<double>(k)),
        rest(1.0 - t.smoothing) {}

  double operator[](std::int64_t j) const {
    const double t = distribution ? distribution[j] : label == j ? 1.0 : 0.0;
    return share == 0.0 ? t : t * rest + share;
  }
};

// each_row() for rows with targets, of which those of the ignored class have neither loss nor
// gradient.
template <class Row>
void each_target(const LossShape& s, const Targets& targets, float* gradient, float* losses,
                 const Row& row) {
  const auto skips = [&](std::int64_t r) { return is_ignored(targets, r); };
  const double divisor = divisor_of(s, targets.ignores, skips);
  each_row(s, divisor, losses, [&](std::int64_t r, double scale) {
    if (is_ignored(targets, r)) {
      std::fill_n(gradient + r * s.k, s.k, 0.0f);
      return 0.0;
    }
    return static_cast<double>(row(r, scale, RowTarget(targets, r, s.k)));
  });
}

// -t alpha (1 - q)^gamma log q, and q times its slope in q.
Point focal(double t, double alpha, double gamma, double q, double log_q) {
  const double rest = 1.0 - q, focus = std::pow(rest, gamma);
  const double dfocus =
      rest == 0.0 || gamma == 0.0 ? 0.0 : gamma * std::pow(rest, gamma - 1.0) * q * log_q;
  return {-t * alpha * focus * log_q, t * alpha * (dfocus - focus)};
}

}  // namespace

void check_labels(std::int64_t rows, std::int64_t k, const Targets& targets) {
  for (std::int64_t i = 0; has_labels(targets) && i < rows; ++i) {
    const std::int64_t label = label_of(targets, i);
    if ((label >= 0 && label < k) || is_ignored(targets, i)) continue;
    throw std::invalid_argument("label " + std::to_string(label) + " of sample " +
                                std::to_string(i) + " is not in [0, " + std::to_string(k) +
                                "), the classes of the output");
  }
}

void softmax_cross_entropy(const LossShape& s, const float* logits, const Targets& targets,
                           float* probs, float* dlogits, float* losses) {
  const std::int64_t rows = product(s.n, s.p), k = s.k;
  check_labels(rows, k, targets);
  Scratch scratch;
  float* peak = scratch.take(rows);
  float* sum = scratch.take(rows);
  softmax_forward(logits, probs, rows, k, peak, sum);
  each_target(s, targets, dlogits, losses, [&](std::int64_t r, double scale, const RowTarget& t) {
    const float *x = logits + r * k, *p = probs + r * k;
    const double log_sum_exp = peak[r] + std::log(static_cast<double>(sum[r]));
    double loss = 0.0, mass = 0.0;
    for (std::int64_t j = 0; j < k; ++j) {
      mass += t[j];
      if (t[j] != 0.0) loss += t[j] * (log_sum_exp - x[j]);
    }
    for (std::int64_t j = 0; j < k; ++j)
      dlogits[r * k + j] = static_cast<float>(scale * (mass * p[j] - t[j]));
    return loss;
  });
}

void cross_entropy(const LossShape& s, const float* probs, const Targets& targets, float* dprobs,
                   float* losses) {
  const std::int64_t k = s.k;
  check_labels(product(s.n, s.p), k, targets);
  each_target(s, targets, dprobs, losses, [&](std::int64_t r, double scale, const RowTarget& t) {
    const float* p = probs + r * k;
    double sum = 0.0;
    for (std::int64_t j = 0; j < k; ++j) sum += p[j];
    // loss = -sum t log(clip(p / sum)); inside the clip's range d/dp_j = -t_j / p_j + mass / sum,
    // mass being what the unclipped targets add up to.
    double loss = 0.0, mass = 0.0;
    for (std::int64_t j = 0; j < k; ++j) {
      const double q = p[j] / sum;
      if (t[j] == 0.0) continue;
      loss -= t[j] * std::log(clip(q, kLow, kHigh));
      if (q >= kLow && q <= kHigh) mass += t[j];
    }
    for (std::int64_t j = 0; j < k; ++j) {
      const double q = p[j] / sum;
      const double own = t[j] != 0.0 && q >= kLow && q <= kHigh ? t[j] / p[j] : 0.0;
      dprobs[r * k + j] = static_cast<float>(scale * (mass / sum - own));
    }
    return loss;
  });
}

void categorical_focal_cross_entropy(const LossShape& s, const float* y, const Targets& targets,
                                     const Focus& focus, float* probs, float* dy, float* losses) {
  const std::int64_t rows = product(s.n, s.p), k = s.k;
  check_labels(rows, k, targets);
  Scratch scratch;
  float* peak = scratch.take(rows);
  float* sum = scratch.take(rows);
  if (probs) softmax_forward(y, probs, rows, k, peak, sum);
  each_target(s, targets, dy, losses, [&](std::int64_t r, double scale, const RowTarget& t) {
    const float* v = y + r * k;
    // In double precision: (1 - q)^gamma has gamma times the relative error of a small 1 - q.
    double total = 0.0;
    for (std::int64_t j = 0; j < k; ++j)
      total += probs ? std::exp(static_cast<double>(v[j]) - peak[r]) : v[j];
    const double log_sum_exp = probs ? peak[r] + std::log(total) : 0.0;
    const auto at = [&](std::int64_t j, double* share) {
      const double alpha = focus.alpha[focus.by_class ? j : 0];
      const double q = probs ? std::exp(v[j] - log_sum_exp) : v[j] / total;
      *share = q;
      if (t[j] == 0.0) return Point{0.0, 0.0};
      if (probs) return focal(t[j], alpha, focus.gamma, q, v[j] - log_sum_exp);
      const double c = clip(q, kLow, kHigh);
      Point point = focal(t[j], alpha, focus.gamma, c, std::log(c));
      point.slope = within(q, kLow, kHigh, point.slope);
      return point;
    };
    // With a_j = q_j dloss/dq_j, a softmax has the gradient a_j - q_j sum(a), and a division by the
    // sum the same over y_j, where q_j / y_j is 1 / sum.
    double loss = 0.0, mass = 0.0, q;
    for (std::int64_t j = 0; j < k; ++j) {
      const Point point = at(j, &q);
      loss += point.loss;
      mass += point.slope;
    }
    for (std::int64_t j = 0; j < k; ++j) {
      const double slope = at(j, &q).slope;
      const double own = slope == 0.0 || probs ? slope : slope / v[j];
      dy[r * k + j] = static_cast<float>(scale * (own - mass * (probs ? q : 1.0 / total)));
    }
    return loss;
  });
}

std::int64_t count_correct(std::int64_t rows, std::int64_t k, const float* y,
                           const Targets& targets) {
  check_labels(rows, k, targets);
  std::int64_t correct = 0;
  for (std::int64_t i = 0; i < rows; ++i) {
    const std::int64_t label =
        has_labels(targets) ? label_of(targets, i) : first_maximum(targets.distribution + i * k, k);
    if (first_maximum(y + i * k, k) == label) ++correct;
  }
  return correct;
}

}  // namespace convkit::ops
