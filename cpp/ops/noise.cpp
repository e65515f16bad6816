#include "noise.h"

#include <algorithm>

#include "../dispatch/cpu.h"
#include "activation.h"
#include "parallel.h"
#include "ranks.h"
#include "scratch.h"

namespace convkit::ops {
namespace {

constexpr std::int64_t kElementsPerTask = 1 << 14;  // a multiple of 4: those of whole counters

}  // namespace

void spatial_dropout2d(std::int64_t n, std::int64_t plane, std::int64_t c, const float* x, float* y,
                       double rate, std::uint64_t seed, std::uint64_t offset) {
  Scratch scratch;
  float* factors = scratch.take(n, c);
  std::fill_n(factors, n * c, 1.0f);
  dropout(factors, factors, n * c, first_element(n, n * c), rate, seed, offset);
  const std::int64_t rows = ceil_div(kElementsPerTask, c);
  parallel_ranges(n * plane, rows, c, [&](std::int64_t begin, std::int64_t end) {
    kernels().drop_channels(x, factors, y, c, plane, begin, end);
  });
}

void gaussian_noise(const float* x, float* y, std::int64_t n, std::int64_t first, double deviation,
                    bool multiply, std::uint64_t seed, std::uint64_t offset) {
  // A normal number takes some ten times as long as what an activation computes.
  with_whole_counters(
      x, y, first, n, [&](const float* from, float* to, std::int64_t first, std::int64_t count) {
        parallel_ranges(count, kElementsPerTask, 8, [&](std::int64_t begin, std::int64_t end) {
          kernels().gaussian_noise(from, to, first, begin, end, seed, offset,
                                   static_cast<float>(deviation), multiply);
        });
      });
}

void copy(const float* x, float* y, std::int64_t n) {
  if (x == y) return;
  parallel_ranges(n, kElementsPerTask, 1, [&](std::int64_t begin, std::int64_t end) {
    std::copy(x + begin, x + end, y + begin);
  });
}

}  // namespace convkit::ops
