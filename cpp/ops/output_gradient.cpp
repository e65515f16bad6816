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
                               const std::uint8_t* indices, const BatchNormGradient* norm,
                               bool bias, Scratch& scratch, const Epilogue& behind)
    : s_(s), dy_(dy), y_(y), indices_(indices), norm_(norm), bias_(bias), behind_(behind) {
  rows_ = indices ? (s.oh / 2) * (s.ow / 2) : s.oh * s.ow;
  bias_rows_ = norm ? s.oh * s.ow : rows_;
  bias_blocks_ = ceil_div(bias_rows_, kRowsPerBlock);
  sums_ = scratch.take(s.n, bias_blocks_, s.oc);
}

std::int64_t OutputGradient::image_size() const {
  return y_ || indices_ || norm_ ? s_.oh * s_.ow * s_.oc : 0;
}

MemoryRange OutputGradient::gradient_of(std::int64_t begin, std::int64_t end) const {
  return {dy_ + begin * rows_ * s_.oc, dy_ + end * rows_ * s_.oc};
}

MemoryRange OutputGradient::output_of(std::int64_t begin, std::int64_t end) const {
  if (norm_) return norm_->input_of(begin, end);
  return y_ ? MemoryRange{y_ + begin * rows_ * s_.oc, y_ + end * rows_ * s_.oc}
            : MemoryRange{dy_, dy_};
}

const float* OutputGradient::masked(std::int64_t begin, std::int64_t end, float* to,
                                    bool again) const {
  const KernelTable& kernel = kernels();
  Scratch scratch;
  float* unused = again ? scratch.take(s_.oc) : nullptr;
  for (std::int64_t n = begin; n < end; ++n) {
    for (std::int64_t row = 0, block = 0; row < rows_; row += kRowsPerBlock, ++block) {
      const std::int64_t count = std::min(kRowsPerBlock, rows_ - row);
      const std::int64_t at = (n * rows_ + row) * s_.oc;
      float* sums = again ? unused : sums_ + (n * bias_blocks_ + block) * s_.oc;
      if (y_ && behind_.apart()) {
        float* out = to + ((n - begin) * rows_ + row) * s_.oc;
        kernel.activation_backward(behind_.kind, dy_ + at, y_ + at, out, count * s_.oc,
                                   behind_.given);
        if (bias_ && !again) kernel.sum_rows(out, s_.oc, 0, count, sums);
      } else if (y_) {
        float* out = to + ((n - begin) * rows_ + row) * s_.oc;
        kernel.relu_sum_rows(dy_ + at, y_ + at, s_.oc, 0, count, out, sums);
      } else if (bias_ && !norm_ && !again) {
        kernel.sum_rows(dy_ + at, s_.oc, 0, count, sums);
      }
    }
  }
  return y_ ? to : dy_ + begin * rows_ * s_.oc;
}

const float* OutputGradient::unpooled(std::int64_t begin, std::int64_t end, float* to,
                                      bool again) const {
  if (!indices_) return masked(begin, end, to, again);
  Scratch scratch;
  const float* gradient = masked(begin, end, scratch.take(end - begin, rows_, s_.oc), again);
  // A window's maximum is positive exactly where ReLU let its gradient through, so ReLU and the
  // bias came first, on a quarter of the convolution's outputs.
  PoolShape pool = pool_of_two(s_);
  pool.n = end - begin;
  const std::uint8_t* indices = indices_ + begin * rows_ * s_.oc;
  kernels().max_pool2d_backward(pool, gradient, indices, false, to, 0, pool.n);
  return to;
}

OutputGradient::Loaded OutputGradient::load_pooled(std::int64_t begin, std::int64_t end, float* to,
                                                   bool again) const {
  if (!indices_ || norm_) return {load(begin, end, to, again), nullptr};
  return {masked(begin, end, to, again), indices_ + begin * rows_ * s_.oc};
}

const float* OutputGradient::load(std::int64_t begin, std::int64_t end, float* to,
                                  bool again) const {
  const float* gradient = unpooled(begin, end, to, again);
  if (!norm_) return gradient;
  const RowBlocks& blocks = norm_->blocks();
  for (std::int64_t block = begin * blocks.of_image; block < end * blocks.of_image; ++block) {
    const std::int64_t at = (blocks.first_row(block) - begin * blocks.rows) * s_.oc;
    norm_->apply(block, gradient + at, to + at);
  }
  if (!bias_ || again) return to;
  for (std::int64_t n = begin; n < end; ++n) {
    for (std::int64_t row = 0, block = 0; row < bias_rows_; row += kRowsPerBlock, ++block) {
      kernels().sum_rows(to + ((n - begin) * bias_rows_ + row) * s_.oc, s_.oc, 0,
                         std::min(kRowsPerBlock, bias_rows_ - row),
                         sums_ + (n * bias_blocks_ + block) * s_.oc);
    }
  }
  return to;
}

void OutputGradient::reduce() const {
  const std::int64_t work = s_.n * s_.oh * s_.ow * s_.oc;
  const RowBlocks& blocks = norm_->blocks();
  const PoolShape pool = pool_of_two(s_);
  parallel_for(blocks.count(), work, [&](std::int64_t block) {
    if (indices_) return norm_->reduce_pooled(pool, block, dy_, y_, indices_);
    norm_->reduce(block, dy_ + blocks.first_row(block) * s_.oc);
  });
}

void OutputGradient::reduce_masked(const float* dy, const float* y, float* gradient) const {
  const RowBlocks& blocks = norm_->blocks();
  parallel_for(blocks.count(), s_.n * s_.oh * s_.ow * s_.oc,
               [&](std::int64_t block) { norm_->reduce_masked(block, dy, y, gradient); });
}

void OutputGradient::reduce_activated(const float* dy, float* gradient) const {
  const RowBlocks& blocks = norm_->blocks();
  parallel_for(blocks.count(), blocks.images * blocks.rows * blocks.c, [&](std::int64_t block) {
    const std::int64_t at = blocks.first_row(block) * blocks.c;
    norm_->reduce_activated(block, dy + at, gradient + at);
  });
}

const float* OutputGradient::load_all(Scratch& scratch) const {
  const std::int64_t size = image_size(), work = s_.n * s_.oh * s_.ow * s_.oc;
  if (size == 0 && !bias_) return dy_;
  float* to = scratch.take(s_.n, size);
  parallel_for(s_.n, work, [&](std::int64_t n) { load(n, n + 1, to + n * size); });
  return size > 0 ? to : dy_;
}

void OutputGradient::add_up(float* db) const { sum_blocks(s_.n, bias_blocks_, s_.oc, sums_, db); }

}  // namespace convkit::ops
