#include "rescaling.h"

#include "../dispatch/cpu.h"
#include "parallel.h"
#include "scratch.h"

namespace convkit::ops {
namespace {

constexpr std::int64_t kElementsPerTask = 1 << 14;

}  // namespace

void rescaling(std::int64_t n, std::int64_t c, const float* x, const float* scale,
               const float* offset, float* y) {
  // Channels that do not fill vectors are taken several positions at a time.
  Scratch scratch;
  const std::int64_t lanes = kernels().lanes;
  const std::int64_t size = c % lanes == 0 || product(c, lanes) > n ? c : c * lanes;
  float* scales = scratch.take(size);
  float* offsets = scratch.take(size);
  for (std::int64_t i = 0; i < size; ++i) {
    scales[i] = scale[i % c];
    offsets[i] = offset ? offset[i % c] : -0.0f;  // which leaves the sign of a zero alone
  }
  const std::int64_t rows = n / size, chunk = ceil_div(kElementsPerTask, size);
  parallel_ranges(rows, chunk, size, [&](std::int64_t begin, std::int64_t end) {
    kernels().batchnorm_normalise(x, scales, offsets, nullptr, false, y, size, begin, end);
  });
  const std::int64_t done = rows * size;
  kernels().batchnorm_normalise(x + done, scales, offsets, nullptr, false, y + done, n - done, 0,
                                1);
}

}  // namespace convkit::ops
