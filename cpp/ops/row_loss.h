// Losses that compare rows of predictions with rows of targets: their values and gradients.
#pragma once

#include <cstdint>

#include "loss_rows.h"

namespace convkit::ops {

// Of predictions y and targets t, both (N, P, K). Those of single values are meant over a row.
enum class RowLoss {
  kSquaredError,             // (y - t)^2
  kAbsoluteError,            // |y - t|
  kAbsolutePercentageError,  // 100 |y - t| / max(|t|, 1e-7)
  kSquaredLogarithmicError,  // (log(1 + max(y, 1e-7)) - log(1 + max(t, 1e-7)))^2
  kHuber,                    // (y - t)^2 / 2 up to delta, straight beyond
  kLogCosh,                  // log(cosh(y - t))
  kHinge,                    // max(1 - t y, 0), t being 2 t - 1 where all targets are 0 or 1
  kSquaredHinge,             // its square
  kPoisson,                  // y - t log(y + 1e-7)
  kBinaryCrossEntropy,       // -t log(p) - (1 - t) log(1 - p)
  kBinaryFocalCrossEntropy,  // that times (t (1 - p) + (1 - t) p)^gamma
  kKlDivergence,             // the sum of t log(t / y), both clipped to [1e-7, 1]
  kCosineSimilarity,         // less the cosine of the angle between y and t
  kCategoricalHinge          // max(0, 1 + the largest (1 - t) y - the sum of t y)
};

// What some of them take. Of the binary ones p is y clipped to [1e-7, 1 - 1e-7], or the sigmoid of
// y; targets move towards 1/2 by the smoothing; balanced counts t alpha + (1 - t) (1 - alpha).
struct RowLossParameters {
  double delta, smoothing, alpha, gamma;
  bool from_logits, balanced;
};

void row_loss(RowLoss kind, const LossShape& s, const float* y, const float* target,
              const RowLossParameters& given, float* dy, float* losses);

}  // namespace convkit::ops
