#include "output_gradient.h"

#include <algorithm>

#include "../dispatch/cpu.h"
#include "pack.h"
#include "parallel.h"
#include "pool2d.h"
#include "ranks.h"

namespace convkit::ops {
namespace {

// Rows that are summed together: few enough to stay in a first-level cache from one vector of
// channels to the next, and for their sum to be accurate.
constexpr std::int64_t kRowsPerBlock = 128;

}  // namespace

OutputGradient::OutputGradient(const ConvShape& s, const float* dy, const float* y,
                               const std::uint8_t* indices, const BatchNormGradient* norm,
                               float* db, Scratch& scratch, const Epilogue& behind)
    : s_(s), dy_(dy), y_(y), indices_(indices), norm_(norm), db_(db), behind_(behind) {
  rows_ = indices ? (s.oh / 2) * (s.ow / 2) : s.oh * s.ow;
  sums_ = scratch.take(s.n, s.oc);
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

template <class F>
void OutputGradient::each_block(std::int64_t n, std::int64_t rows, bool kept, const F& f) const {
  const std::int64_t blocks = ceil_div(rows, kRowsPerBlock);
  Scratch scratch;
  float* sums = kept && blocks == 1 ? sums_ + n * s_.oc : scratch.take(blocks, s_.oc);
  for (std::int64_t i = 0; i < blocks; ++i)
    f(i * kRowsPerBlock, std::min(kRowsPerBlock, rows - i * kRowsPerBlock), sums + i * s_.oc);
  if (kept && blocks > 1) sum_blocks(blocks, s_.oc, sums, sums_ + n * s_.oc);
}

const float* OutputGradient::masked(std::int64_t begin, std::int64_t end, float* to,
                                    bool again) const {
  const float* dy = dy_ + begin * rows_ * s_.oc;
  const bool summed = db_ && !norm_ && !again;
  if (!y_ && !summed) return dy;
  const KernelTable& kernel = kernels();
  for (std::int64_t n = begin; n < end; ++n) {
    each_block(n, rows_, summed, [&](std::int64_t row, std::int64_t count, float* sums) {
      const std::int64_t at = (n * rows_ + row) * s_.oc;
      float* out = to + ((n - begin) * rows_ + row) * s_.oc;
      if (y_ && !behind_.apart())
        return kernel.relu_sum_rows(dy_ + at, y_ + at, s_.oc, 0, count, out, sums);
      if (y_)
        kernel.activation_backward(behind_.kind, dy_ + at, y_ + at, out, count * s_.oc,
                                   behind_.given);
      if (summed) kernel.sum_rows(y_ ? out : dy_ + at, s_.oc, 0, count, sums);
    });
  }
  return y_ ? to : dy;
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
  if (!db_ || again) return to;
  const std::int64_t rows = s_.oh * s_.ow;
  for (std::int64_t n = begin; n < end; ++n) {
    each_block(n, rows, true, [&](std::int64_t row, std::int64_t count, float* sums) {
      kernels().sum_rows(to + ((n - begin) * rows + row) * s_.oc, s_.oc, 0, count, sums);
    });
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
  if (size == 0 && !db_) return dy_;
  float* to = scratch.take(s_.n, size);
  parallel_for(s_.n, work, [&](std::int64_t n) { load(n, n + 1, to + n * size); });
  return size > 0 ? to : dy_;
}

void OutputGradient::add_up() const {
  if (db_) sum_blocks(s_.n, 1, s_.oc, sums_, db_);
}

void OutputGradient::add_up(TaskPhases& phases,
                            std::initializer_list<TaskPhases::Need> needs) const {
  if (db_ && !exact_ranks_of(s_.n))
    phases.add(1, 1, 0, needs, [this](auto, auto, auto) { add_up(); });
}

void OutputGradient::add_up_with_ranks() const {
  if (exact_ranks_of(s_.n)) add_up();
}

}  // namespace convkit::ops
