// Rows of values that a loss reads: what they count, and how their losses are summed.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "parallel.h"
#include "ranks.h"
#include "scratch.h"

namespace convkit::ops {

// What becomes of the rows' losses times their weights: divided by the number of rows, by nothing,
// or by the sum of the weights.
enum class Reduction { kMean, kSum, kWeightedMean };

// The rows of K values that a loss reads, P of each sample (the pixels of an image; one of a plain
// output), and what they count. What is written to `losses` (N) has the reduction as its mean.
struct LossShape {
  std::int64_t n, p, k;
  const float* weights;  // null for ones; of samples (N), or of rows (N, P)
  bool by_row;           // the weights are those of rows
  Reduction reduction;
};

constexpr double kLow = 1e-7, kHigh = 1.0 - 1e-7;  // what probabilities are clipped to
constexpr std::int64_t kValuesPerPiece = 1 << 12;  // of what is summed from end to end
constexpr std::int64_t kValuesPerTask = 1 << 13;

// NaN stays NaN.
inline double clip(double x, double low, double high) {
  return std::isnan(x) ? x : std::clamp(x, low, high);
}

// Without a gradient outside of the clip's range, but NaN stays NaN.
inline double within(double x, double low, double high, double slope) {
  return x >= low && x <= high ? slope : x == x ? 0.0 : x;
}

inline double weight_of(const LossShape& s, std::int64_t sample, std::int64_t row) {
  return s.weights ? s.weights[s.by_row ? row : sample] : 1.0;
}

inline double divide(double a, double b) { return b == 0.0 ? 0.0 : a / b; }

// The number of rows, their weights' sum, or 1: what the sum of the rows' weighted losses is
// divided by. Rows for which skips(r) holds do not count.
template <class Skips>
double divisor_of(const LossShape& s, bool may_skip, const Skips& skips) {
  if (s.reduction == Reduction::kSum) return 1.0;
  const bool weighs = s.reduction == Reduction::kWeightedMean && s.weights;
  const Ranks* ranks = ranks_of(s.n);
  const std::int64_t n = ranks ? ranks->samples() : s.n;
  if (!weighs && !may_skip) return static_cast<double>(n) * static_cast<double>(s.p);
  Scratch scratch;
  float* weights = scratch.take(s.n, s.p);
  for (std::int64_t i = 0; i < s.n; ++i) {
    for (std::int64_t r = i * s.p; r < (i + 1) * s.p; ++r)
      weights[r] = skips(r) ? 0.0f : weighs ? static_cast<float>(weight_of(s, i, r)) : 1.0f;
  }
  const float* all = gather_batch(ranks, weights, s.p, scratch);
  double total = 0.0;
  for (std::int64_t r = 0; r < n * s.p; ++r) total += all[r];
  return total;
}

// Has row(r, scale) write the gradient of each row's loss times the scale, and return the loss. A
// sample's losses are summed by pieces of so many rows, whoever computes them.
template <class Row>
void each_row(const LossShape& s, double divisor, float* losses, const Row& row) {
  const std::int64_t rows = std::min(s.p, std::max<std::int64_t>(1, kValuesPerPiece / s.k));
  const std::int64_t pieces = ceil_div(s.p, rows);
  const std::int64_t together = std::max<std::int64_t>(1, kValuesPerTask / product(rows, s.k));
  Scratch scratch;
  double* sums = scratch.take<double>(s.n, pieces);
  parallel_ranges(product(s.n, pieces), together, product(rows, s.k),
                  [&](std::int64_t begin, std::int64_t end) {
                    for (std::int64_t piece = begin; piece < end; ++piece) {
                      const std::int64_t i = piece / pieces, first = piece % pieces * rows;
                      const std::int64_t last = std::min(first + rows, s.p);
                      double sum = 0.0;
                      for (std::int64_t r = i * s.p + first; r < i * s.p + last; ++r) {
                        const double weight = weight_of(s, i, r);
                        sum += weight * row(r, divide(weight, divisor));
                      }
                      sums[piece] = sum;
                    }
                  });
  const Ranks* ranks = ranks_of(s.n);
  const std::int64_t n = ranks ? ranks->samples() : s.n;
  const double per_sample = divide(static_cast<double>(n), divisor);
  for (std::int64_t i = 0; i < s.n; ++i) {
    double sum = 0.0;
    for (std::int64_t j = i * pieces; j < (i + 1) * pieces; ++j) sum += sums[j];
    losses[i] = static_cast<float>(sum * per_sample);
  }
}

// A loss of one value, and its slope.
struct Point {
  double loss, slope;
};

}  // namespace convkit::ops
