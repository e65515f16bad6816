#include "output_gradient.h"

#include <algorithm>

#include "../dispatch/cpu.h"
#include "pack.h"
#include "parallel.h"
#include "pool2d.h"

namespace convkit::ops {
namespace {

// Rows that are summed together: few enough to stay in a first-level cache from one vector of
// channels to the next, and for their sum to be accurate.
constexpr std::int64_t kRowsPerBlock = 128;

}  // namespace

OutputGradient::OutputGradient(const ConvShape& s, const float* dy, const float* y,
                               const std::uint8_t* indices, Scratch& scratch)
    : s_(s), dy_(dy), y_(y), indices_(indices) {
  rows_ = indices ? (s.oh / 2) * (s.ow / 2) : s.oh * s.ow;
  blocks_ = ceil_div(rows_, kRowsPerBlock);
  sums_ = scratch.take(s.n * blocks_ * s.oc);
}

std::int64_t OutputGradient::image_size() const {
  return y_ || indices_ ? s_.oh * s_.ow * s_.oc : 0;
}

std::int64_t OutputGradient::scratch_size() const { return y_ && indices_ ? rows_ * s_.oc : 0; }

const float* OutputGradient::load(std::int64_t begin, std::int64_t end, float* to,
                                  float* scratch) const {
  const KernelTable& kernel = kernels();
  float* masked = indices_ ? scratch : to;
  for (std::int64_t n = begin; n < end; ++n) {
    for (std::int64_t block = 0; block < blocks_; ++block) {
      const std::int64_t row = block * kRowsPerBlock;
      const std::int64_t count = std::min(kRowsPerBlock, rows_ - row);
      const std::int64_t at = (n * rows_ + row) * s_.oc;
      float* sums = sums_ + (n * blocks_ + block) * s_.oc;
      if (y_) {
        float* out = masked + ((n - begin) * rows_ + row) * s_.oc;
        kernel.relu_sum_rows(dy_ + at, y_ + at, s_.oc, 0, count, out, sums);
      } else {
        kernel.sum_rows(dy_ + at, s_.oc, 0, count, sums);
      }
    }
  }
  const float* gradient = y_ ? masked : dy_ + begin * rows_ * s_.oc;
  if (!indices_) return gradient;
  // A window's maximum is positive exactly where ReLU let its gradient through, so ReLU and the
  // bias came first, on a quarter of the convolution's outputs.
  PoolShape pool = pool_of_two(s_);
  pool.n = end - begin;
  const std::uint8_t* indices = indices_ + begin * rows_ * s_.oc;
  kernel.max_pool2d_backward(pool, gradient, indices, false, to, 0, pool.n);
  return to;
}

const float* OutputGradient::load_all(Scratch& scratch) const {
  const std::int64_t size = image_size(), work = s_.n * s_.oh * s_.ow * s_.oc;
  float* to = scratch.take(s_.n * size);
  float* masked = scratch.take(threads_for(s_.n, work) * scratch_size());
  parallel_for(s_.n, work, [&](std::int64_t n, int thread) {
    load(n, n + 1, to + n * size, masked + thread * scratch_size());
  });
  return size > 0 ? to : dy_;
}

void OutputGradient::add_up(float* db) const { sum_blocks(s_.n * blocks_, s_.oc, sums_, db); }

}  // namespace convkit::ops
