#include "row_loss.h"

#include <algorithm>
#include <cmath>

namespace convkit::ops {
namespace {

double sign(double d) { return d > 0.0 ? 1.0 : d < 0.0 ? -1.0 : d; }  // NaN stays NaN

Point binary_cross_entropy(double v, double t, bool from_logits) {
  if (!from_logits) {
    const double p = clip(v, kLow, kHigh);
    const double loss = -t * std::log(p) - (1.0 - t) * std::log1p(-p);
    return {loss, within(v, kLow, kHigh, (p - t) / (p * (1.0 - p)))};
  }
  // log(1 + e^v) - t v, written so that e never overflows; its slope is sigmoid(v) - t.
  const double e = std::exp(-std::abs(v));
  return {(v > 0.0 ? v : 0.0) - t * v + std::log1p(e), (v >= 0.0 ? 1.0 : e) / (1.0 + e) - t};
}

// The cross-entropy times m^gamma for m = t (1 - p) + (1 - t) p, how far off p is (T. Lin et al.,
// "Focal loss for dense object detection", 2017).
Point binary_focal(double v, double t, const RowLossParameters& given) {
  const Point entropy = binary_cross_entropy(v, t, given.from_logits);
  const double e = std::exp(-std::abs(v));
  const double p = given.from_logits ? (v >= 0.0 ? 1.0 : e) / (1.0 + e) : v;
  const double q = given.from_logits ? (v >= 0.0 ? e : 1.0) / (1.0 + e) : 1.0 - v;
  const double miss = t * q + (1.0 - t) * p, focus = std::pow(miss, given.gamma);
  const double dmiss = (1.0 - 2.0 * t) * (given.from_logits ? p * q : 1.0);
  const double dfocus =
      miss == 0.0 || given.gamma == 0.0 ? 0.0 : given.gamma * std::pow(miss, given.gamma - 1.0);
  const double weight = given.balanced ? t * given.alpha + (1.0 - t) * (1.0 - given.alpha) : 1.0;
  return {weight * focus * entropy.loss,
          weight * (dfocus * dmiss * entropy.loss + focus * entropy.slope)};
}

template <RowLoss Kind>
Point point(double v, double t, const RowLossParameters& given) {
  const double d = v - t;
  if constexpr (Kind == RowLoss::kSquaredError) return {d * d, 2.0 * d};
  if constexpr (Kind == RowLoss::kAbsoluteError) return {std::abs(d), sign(d)};
  if constexpr (Kind == RowLoss::kAbsolutePercentageError) {
    const double scale = 100.0 / std::max(std::abs(t), kLow);
    return {scale * std::abs(d), scale * sign(d)};
  }
  if constexpr (Kind == RowLoss::kSquaredLogarithmicError) {
    const double most = HUGE_VAL, c = clip(v, kLow, most);
    const double difference = std::log1p(c) - std::log1p(clip(t, kLow, most));
    return {difference * difference, within(v, kLow, most, 2.0 * difference / (1.0 + c))};
  }
  if constexpr (Kind == RowLoss::kHuber) {
    if (std::abs(d) <= given.delta) return {0.5 * d * d, d};
    return {given.delta * (std::abs(d) - 0.5 * given.delta), given.delta * sign(d)};
  }
  if constexpr (Kind == RowLoss::kLogCosh) {
    const double size = std::abs(d);
    return {size + std::log1p(std::exp(-2.0 * size)) - std::log(2.0), std::tanh(d)};
  }
  if constexpr (Kind == RowLoss::kHinge || Kind == RowLoss::kSquaredHinge) {
    const double h = 1.0 - t * v;
    if (h <= 0.0) return {0.0, 0.0};
    if constexpr (Kind == RowLoss::kHinge) return {h, -t};
    return {h * h, -2.0 * t * h};
  }
  if constexpr (Kind == RowLoss::kPoisson)
    return {v - t * std::log(v + kLow), 1.0 - t / (v + kLow)};
  const double moved = t * (1.0 - given.smoothing) + 0.5 * given.smoothing;
  if constexpr (Kind == RowLoss::kBinaryCrossEntropy)
    return binary_cross_entropy(v, moved, given.from_logits);
  return binary_focal(v, moved, given);
}

template <RowLoss Kind>
double mean_of_points(std::int64_t k, const float* y, const float* t, bool to_signs,
                      const RowLossParameters& given, double scale, float* dy) {
  const double each = scale / static_cast<double>(k);
  double sum = 0.0;
  for (std::int64_t j = 0; j < k; ++j) {
    const Point at = point<Kind>(y[j], to_signs ? 2.0 * t[j] - 1.0 : t[j], given);
    sum += at.loss;
    dy[j] = static_cast<float>(each * at.slope);
  }
  return sum / static_cast<double>(k);
}

double kl_divergence(std::int64_t k, const float* y, const float* t, double scale, float* dy) {
  double sum = 0.0;
  for (std::int64_t j = 0; j < k; ++j) {
    const double v = y[j], c = clip(v, kLow, 1.0), own = clip(t[j], kLow, 1.0);
    sum += own * std::log(own / c);
    dy[j] = static_cast<float>(scale * within(v, kLow, 1.0, -own / c));
  }
  return sum;
}

double cosine_similarity(std::int64_t k, const float* y, const float* t, double scale, float* dy) {
  double of_y = 0.0, of_t = 0.0, both = 0.0;
  for (std::int64_t j = 0; j < k; ++j) {
    const double v = y[j], own = t[j];
    of_y += v * v;
    of_t += own * own;
    both += v * own;
  }
  const bool is_short = of_y < kLow * kLow;  // then it is divided by a constant
  const double size = is_short ? kLow : std::sqrt(of_y),
               unit = 1.0 / std::max(std::sqrt(of_t), kLow);
  const double cosine = both * unit / size;
  for (std::int64_t j = 0; j < k; ++j) {
    const double along = is_short ? 0.0 : cosine * y[j] / size;
    dy[j] = static_cast<float>(scale * (along - t[j] * unit) / size);
  }
  return -cosine;
}

double categorical_hinge(std::int64_t k, const float* y, const float* t, double scale, float* dy) {
  double right = 0.0, wrong = 0.0;
  std::int64_t worst = 0;
  for (std::int64_t j = 0; j < k; ++j) {
    const double v = y[j], own = t[j], other = (1.0 - own) * v;
    right += own * v;
    if (j == 0 || other > wrong || std::isnan(other)) {
      wrong = other;
      worst = j;
    }
  }
  const double loss = 1.0 + wrong - right;
  if (loss <= 0.0) {
    std::fill_n(dy, k, 0.0f);
    return 0.0;
  }
  for (std::int64_t j = 0; j < k; ++j) {
    const double own = t[j];
    dy[j] = static_cast<float>(scale * ((j == worst ? 1.0 - own : 0.0) - own));
  }
  return loss;
}

// Where all targets are 0 or 1, a hinge loss takes them for -1 and 1.
bool are_binary(const float* target, std::int64_t count) {
  return std::all_of(target, target + count, [](float t) { return t == 0.0f || t == 1.0f; });
}

}  // namespace

void row_loss(RowLoss kind, const LossShape& s, const float* y, const float* target,
              const RowLossParameters& given, float* dy, float* losses) {
  const std::int64_t k = s.k;
  const bool is_hinge = kind == RowLoss::kHinge || kind == RowLoss::kSquaredHinge;
  const bool to_signs = is_hinge && are_binary(target, product(s.n, s.p, k));
  const double divisor = divisor_of(s, false, [](std::int64_t) { return false; });
  const auto run = [&](const auto& loss) {
    each_row(s, divisor, losses, [&](std::int64_t r, double scale) {
      return loss(y + r * k, target + r * k, scale, dy + r * k);
    });
  };
  switch (kind) {
#define CONVKIT_POINTS(K)                                                    \
  case RowLoss::K:                                                           \
    return run([&](const float* v, const float* t, double scale, float* d) { \
      return mean_of_points<RowLoss::K>(k, v, t, to_signs, given, scale, d); \
    });
    CONVKIT_POINTS(kSquaredError)
    CONVKIT_POINTS(kAbsoluteError)
    CONVKIT_POINTS(kAbsolutePercentageError)
    CONVKIT_POINTS(kSquaredLogarithmicError)
    CONVKIT_POINTS(kHuber)
    CONVKIT_POINTS(kLogCosh)
    CONVKIT_POINTS(kHinge)
    CONVKIT_POINTS(kSquaredHinge)
    CONVKIT_POINTS(kPoisson)
    CONVKIT_POINTS(kBinaryCrossEntropy)
    CONVKIT_POINTS(kBinaryFocalCrossEntropy)
#undef CONVKIT_POINTS
#define CONVKIT_ROWS(K, LOSS)                                                \
  case RowLoss::K:                                                           \
    return run([&](const float* v, const float* t, double scale, float* d) { \
      return LOSS(k, v, t, scale, d);                                        \
    });
    CONVKIT_ROWS(kKlDivergence, kl_divergence)
    CONVKIT_ROWS(kCosineSimilarity, cosine_similarity)
    CONVKIT_ROWS(kCategoricalHinge, categorical_hinge)
#undef CONVKIT_ROWS
  }
}

}  // namespace convkit::ops
