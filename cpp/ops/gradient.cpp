#include "gradient.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>

#include "../dispatch/cpu.h"
#include "parallel.h"
#include "scratch.h"

namespace convkit::ops {
namespace {

constexpr std::int64_t kElementsPerTask = 1 << 14;

}  // namespace

void clip_by_value(std::int64_t n, float* g, double limit) {
  parallel_ranges(n, kElementsPerTask, 1, [&](std::int64_t begin, std::int64_t end) {
    kernels().clip_by_value(g + begin, end - begin, static_cast<float>(limit));
  });
}

double sum_of_squares(std::int64_t n, const float* g) {
  Scratch scratch;
  double* sums = scratch.take<double>(2, ceil_div(n, kElementsPerTask));
  parallel_ranges(n, kElementsPerTask, 1, [&](std::int64_t begin, std::int64_t end) {
    double* own = sums + 2 * (begin / kElementsPerTask);
    kernels().regularize(g + begin, nullptr, end - begin, 0.0f, 0.0f, own);
  });
  double total = 0.0;
  for (std::int64_t i = 0; i < ceil_div(n, kElementsPerTask); ++i) total += sums[2 * i + 1];
  return total;
}

void clip_by_norm(std::int64_t n, float* g, double squares, double max_norm) {
  const double norm = std::sqrt(squares);
  if (norm <= max_norm) return;
  const double factor =
      std::isfinite(norm) ? max_norm / norm : std::numeric_limits<double>::quiet_NaN();
  parallel_ranges(n, kElementsPerTask, 1, [&](std::int64_t begin, std::int64_t end) {
    kernels().scale(g + begin, end - begin, static_cast<float>(factor));
  });
}

void accumulate(std::int64_t n, float* total, const float* g, double factor) {
  parallel_ranges(n, kElementsPerTask, 1, [&](std::int64_t begin, std::int64_t end) {
    kernels().accumulate(total + begin, g + begin, end - begin, static_cast<float>(factor));
  });
}

void moving_average(std::int64_t n, float* average, float* w, double momentum, std::int64_t step,
                    std::int64_t overwrite_every) {
  if (step < 1) {
    throw std::invalid_argument("step counts from 1, but is " + std::to_string(step));
  }
  const bool overwrite = overwrite_every > 0 && step % overwrite_every == 0;
  parallel_ranges(n, kElementsPerTask, 1, [&](std::int64_t begin, std::int64_t end) {
    if (step == 1) {
      std::copy(w + begin, w + end, average + begin);
    } else {
      kernels().moving_average(average + begin, w + begin, end - begin,
                               static_cast<float>(momentum));
    }
    if (overwrite) std::copy(average + begin, average + end, w + begin);
  });
}

void lookahead(std::int64_t n, float* slow, float* w, double step_size, std::int64_t step,
               std::int64_t sync_period) {
  if (sync_period < 1) {
    throw std::invalid_argument("sync_period must be at least 1, but is " +
                                std::to_string(sync_period));
  }
  if (step % sync_period != 0) return;
  parallel_ranges(n, kElementsPerTask, 1, [&](std::int64_t begin, std::int64_t end) {
    kernels().lookahead(slow + begin, w + begin, end - begin, static_cast<float>(step_size));
  });
}

}  // namespace convkit::ops
