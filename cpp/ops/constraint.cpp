#include "constraint.h"

#include <algorithm>
#include <cmath>

#include "parallel.h"

namespace convkit::ops {
namespace {

constexpr std::int64_t kColumns = 64;  // norms that are computed side by side
constexpr std::int64_t kElementsPerTask = 1 << 14;
constexpr double kEpsilon = 1e-7;  // as Keras has it

// Where position `index` of some axes is.
std::int64_t place(std::int64_t index, int axes, const std::int64_t* size,
                   const std::int64_t* step) {
  std::int64_t at = 0;
  for (int i = axes - 1; i >= 0; --i) {
    at += index % size[i] * step[i];
    index /= size[i];
  }
  return at;
}

std::int64_t count(int axes, const std::int64_t* size) {
  std::int64_t total = 1;
  for (int i = 0; i < axes; ++i) total = product(total, size[i]);
  return total;
}

// What weights of that norm are multiplied by: exactly 1 within the bounds.
float factor_of(double norm, const NormBounds& bounds) {
  const double inside = std::min(std::max(norm, bounds.low), bounds.high);
  if (inside == norm) return 1.0f;
  const double wanted = bounds.rate * inside + (1.0 - bounds.rate) * norm;
  return static_cast<float>(wanted / (kEpsilon + norm));
}

// Calls f(pointer) for the first of `w`'s neighbours at every summed position.
template <class F>
void each_summed(const NormAxes& a, float* w, const F& f) {
  const int last = a.summed - 1;
  const std::int64_t outer = count(last, a.summed_size);
  for (std::int64_t i = 0; i < outer; ++i) {
    float* at = w + place(i, last, a.summed_size, a.summed_step);
    for (std::int64_t j = 0; j < a.summed_size[last]; ++j) f(at + j * a.summed_step[last]);
  }
}

void constrain_columns(const NormAxes& a, const NormBounds& bounds, float* w, std::int64_t n) {
  double sums[kColumns] = {};
  each_summed(a, w, [&](const float* at) {
    for (std::int64_t i = 0; i < n; ++i) sums[i] += static_cast<double>(at[i]) * at[i];
  });
  float factors[kColumns];
  bool all_stay = true;
  for (std::int64_t i = 0; i < n; ++i) {
    factors[i] = factor_of(std::sqrt(sums[i]), bounds);
    all_stay = all_stay && factors[i] == 1.0f;
  }
  if (all_stay) return;
  each_summed(a, w, [&](float* at) {
    for (std::int64_t i = 0; i < n; ++i) at[i] *= factors[i];
  });
}

}  // namespace

void constrain_norms(const NormAxes& a, const NormBounds& bounds, float* w) {
  const int last = a.kept - 1;
  const bool side_by_side = a.kept > 0 && a.kept_step[last] == 1;
  const std::int64_t width = side_by_side ? a.kept_size[last] : 1;
  const int rows_of = side_by_side ? last : a.kept;
  const std::int64_t blocks = ceil_div(width, kColumns);
  const std::int64_t summed = count(a.summed, a.summed_size);
  const std::int64_t weight = product(summed, std::min(width, kColumns));
  const std::int64_t tasks = count(rows_of, a.kept_size) * blocks;
  const std::int64_t size = ceil_div(kElementsPerTask, std::max<std::int64_t>(weight, 1));
  parallel_ranges(tasks, size, weight, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t column = i % blocks * kColumns;
      float* at = w + place(i / blocks, rows_of, a.kept_size, a.kept_step) + column;
      constrain_columns(a, bounds, at, std::min(width - column, kColumns));
    }
  });
}

}  // namespace convkit::ops
