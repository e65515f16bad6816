#include "regularizer.h"

#include "../dispatch/cpu.h"
#include "parallel.h"
#include "scratch.h"

namespace convkit::ops {
namespace {

constexpr std::int64_t kElementsPerTask = 1 << 14;

}  // namespace

double regularize(std::int64_t n, const float* w, float* g, double l1, double l2) {
  const std::int64_t tasks = ceil_div(n, kElementsPerTask);
  Scratch scratch;
  double* sums = scratch.take<double>(2, tasks);
  parallel_ranges(n, kElementsPerTask, 1, [&](std::int64_t begin, std::int64_t end) {
    kernels().regularize(w + begin, g ? g + begin : nullptr, end - begin, static_cast<float>(l1),
                         static_cast<float>(2.0 * l2), sums + 2 * (begin / kElementsPerTask));
  });
  double absolute = 0.0, square = 0.0;
  for (std::int64_t i = 0; i < tasks; ++i) {
    absolute += sums[2 * i];
    square += sums[2 * i + 1];
  }
  // A factor of 0 leaves its sum out, even one that overflowed.
  return (l1 != 0.0 ? l1 * absolute : 0.0) + (l2 != 0.0 ? l2 * square : 0.0);
}

}  // namespace convkit::ops
