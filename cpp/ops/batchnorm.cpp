#include "batchnorm.h"

#include <algorithm>
#include <cmath>

#include "../dispatch/cpu.h"
#include "activation.h"
#include "kept_weights.h"
#include "pack.h"
#include "parallel.h"
#include "ranks.h"

namespace convkit::ops {
namespace {

// Rows whose statistics are taken together: fixed, so that the sums' order is.
constexpr std::int64_t kRowsPerBlock = 256;

// Images with fewer rows are not taken one by one.
constexpr std::int64_t kFewRows = 32;

// The blocks of n images of so many rows.
RowBlocks batch_blocks(std::int64_t n, std::int64_t rows, std::int64_t c) {
  return rows >= kFewRows ? RowBlocks(n, rows, c) : RowBlocks(1, n * rows, c);
}

// The ranks that gather the batch instead, where images are not taken one by one; or null.
const Ranks* gathering_ranks(std::int64_t n, std::int64_t rows) {
  return rows < kFewRows ? exact_ranks_of(n) : nullptr;
}

// Calls f for rows [begin, end), as many at a time as an activation takes.
template <class F>
void each_near_rows(std::int64_t c, std::int64_t begin, std::int64_t end, const F& f) {
  const std::int64_t step = std::max<std::int64_t>(1, kNearElements / c);
  for (std::int64_t r = begin; r < end; r += step) f(r, std::min(r + step, end));
}

}  // namespace

RowBlocks::RowBlocks(std::int64_t images, std::int64_t rows, std::int64_t c)
    : images(images), rows(rows), c(c), of_image(ceil_div(rows, kRowsPerBlock)) {}

RowBlocks RowBlocks::of_whole_batch() const { return {whole_batch(images), rows, c}; }

std::int64_t RowBlocks::first_row(std::int64_t block) const {
  return block / of_image * rows + block % of_image * kRowsPerBlock;
}

std::int64_t RowBlocks::size(std::int64_t block) const {
  return std::min(kRowsPerBlock, rows - block % of_image * kRowsPerBlock);
}

BatchStatistics::BatchStatistics(const RowBlocks& blocks, Scratch& scratch)
    : blocks_(blocks),
      means_(scratch.take(blocks.count(), blocks.c)),
      deviations_(scratch.take(blocks.count(), blocks.c)) {}

void BatchStatistics::add(const float* x, std::int64_t block) const {
  const std::int64_t c = blocks_.c;
  kernels().batchnorm_statistics(x + blocks_.first_row(block) * c, c, 0, blocks_.size(block),
                                 means_ + block * c, deviations_ + block * c);
}

void BatchStatistics::add_images(const float* x, std::int64_t begin, std::int64_t end) const {
  for (std::int64_t i = begin * blocks_.of_image; i < end * blocks_.of_image; ++i) add(x, i);
}

void BatchStatistics::add_all(const float* x) const {
  parallel_for(blocks_.count(), blocks_.images * blocks_.rows * blocks_.c,
               [&](std::int64_t block) { add(x, block); });
}

// Means and population variances from those of the blocks (Chan, Golub and LeVeque, 1979).
void BatchStatistics::finish(double momentum, double epsilon, float* moving_mean,
                             float* moving_variance, float* mean, float* rstd) const {
  Scratch scratch;
  const std::int64_t c = blocks_.c, size = blocks_.of_image * c;
  const RowBlocks blocks = blocks_.of_whole_batch();
  const Ranks* ranks = exact_ranks_of(blocks_.images);
  const auto [means, deviations] =
      gather_batch(ranks, {{means_, size}, {deviations_, size}}, scratch);
  double* total_mean = scratch.take<double>(c);
  double* total_deviation = scratch.take<double>(c);
  double* share = scratch.take<double>(blocks.count());
  double* spread = scratch.take<double>(blocks.count());
  double count = 0.0;
  for (std::int64_t i = 0; i < blocks.count(); ++i) {
    const double n = static_cast<double>(blocks.size(i));
    share[i] = n / (count + n), spread[i] = count * share[i];
    count += n;
  }
  kernels().add_statistics(means, deviations, blocks.count(), c, share, spread, total_mean,
                           total_deviation);
  for (std::int64_t j = 0; j < c; ++j) {
    const double variance = total_deviation[j] / count;
    mean[j] = static_cast<float>(total_mean[j]);
    rstd[j] = static_cast<float>(1.0 / std::sqrt(variance + epsilon));
    moving_mean[j] =
        static_cast<float>(momentum * moving_mean[j] + (1.0 - momentum) * total_mean[j]);
    moving_variance[j] =
        static_cast<float>(momentum * moving_variance[j] + (1.0 - momentum) * variance);
  }
  weights_changed();
}

void scale_and_shift(std::int64_t c, const float* gamma, const float* beta, const float* mean,
                     const float* rstd, float* scale, float* shift) {
  for (std::int64_t j = 0; j < c; ++j) {
    scale[j] = gamma[j] * rstd[j];
    shift[j] = beta[j] - mean[j] * scale[j];
  }
}

BatchNormGradient::BatchNormGradient(const RowBlocks& blocks, const BatchNorm& norm,
                                     Scratch& scratch)
    : blocks_(blocks), norm_(norm) {
  const std::int64_t c = blocks.c;
  sums_ = scratch.take(blocks.count(), c);
  products_ = scratch.take(blocks.count(), c);
  scale_ = scratch.take(c);
  shift_ = scratch.take(c);
  mean_dy_ = scratch.take(c);
  mean_dy_xhat_ = scratch.take(c);
  scale_and_shift(c, norm.gamma, norm.beta, norm.mean, norm.rstd, scale_, shift_);
}

void BatchNormGradient::reduce(std::int64_t block, const float* dy) const {
  const std::int64_t c = blocks_.c;
  kernels().batchnorm_reduce(dy, norm_.x + blocks_.first_row(block) * c, scale_, shift_, norm_.mean,
                             norm_.rstd, norm_.behind.relu(), c, 0, blocks_.size(block),
                             sums_ + block * c, products_ + block * c);
}

void BatchNormGradient::reduce_activated(std::int64_t block, const float* dy, float* g) const {
  const KernelTable& kernel = kernels();
  const std::int64_t c = blocks_.c, size = blocks_.size(block);
  const float* x = norm_.x + blocks_.first_row(block) * c;
  const Epilogue& behind = norm_.behind;
  Scratch scratch;
  float* v = scratch.take(std::max(kNearElements, c));
  each_near_rows(c, 0, size, [&](std::int64_t begin, std::int64_t end) {
    const std::int64_t at = begin * c, count = (end - begin) * c;
    kernel.batchnorm_normalise(x + at, scale_, shift_, nullptr, false, v, c, 0, end - begin);
    if (!reads_input(behind.kind))
      kernel.activation_forward(behind.kind, v, v, count, behind.given);
    kernel.activation_backward(behind.kind, dy + at, v, g + at, count, behind.given);
  });
  kernel.batchnorm_reduce(g, x, scale_, shift_, norm_.mean, norm_.rstd, false, c, 0, size,
                          sums_ + block * c, products_ + block * c);
}

void BatchNormGradient::reduce_masked(std::int64_t block, const float* dy, const float* y,
                                      float* g) const {
  const std::int64_t c = blocks_.c, at = blocks_.first_row(block) * c;
  kernels().batchnorm_reduce_masked(dy + at, y + at, norm_.x + at, norm_.mean, norm_.rstd, g + at,
                                    c, 0, blocks_.size(block), sums_ + block * c,
                                    products_ + block * c);
}

void BatchNormGradient::reduce_pooled(const PoolShape& s, std::int64_t block, const float* dy,
                                      const float* y, const std::uint8_t* indices) const {
  const std::int64_t image = block / blocks_.of_image, i = block % blocks_.of_image;
  kernels().batchnorm_reduce_pooled(s, dy, y, indices, norm_.x, norm_.mean, norm_.rstd,
                                    image * s.oh + i * s.oh / blocks_.of_image,
                                    image * s.oh + (i + 1) * s.oh / blocks_.of_image,
                                    sums_ + block * blocks_.c, products_ + block * blocks_.c);
}

void BatchNormGradient::finish(float* dgamma, float* dbeta) {
  const std::int64_t c = blocks_.c;
  Scratch scratch;
  const std::int64_t size = blocks_.of_image * c, images = blocks_.images;
  const auto [sums, products] =
      gather_batch(exact_ranks_of(images), {{sums_, size}, {products_, size}}, scratch);
  const std::int64_t count_of_blocks = blocks_.of_whole_batch().count();
  sum_blocks(count_of_blocks, c, sums, dbeta);
  sum_blocks(count_of_blocks, c, products, dgamma);
  const float count = static_cast<float>(whole_batch(blocks_.images) * blocks_.rows);
  for (std::int64_t j = 0; j < c; ++j) {
    mean_dy_[j] = dbeta[j] / count;
    mean_dy_xhat_[j] = dgamma[j] / count;
  }
}

void BatchNormGradient::apply(std::int64_t block, const float* dy, float* dx,
                              bool add_to_dx) const {
  const std::int64_t c = blocks_.c;
  kernels().batchnorm_backward(dy, norm_.x + blocks_.first_row(block) * c, scale_, shift_,
                               norm_.mean, norm_.rstd, mean_dy_, mean_dy_xhat_, norm_.behind.relu(),
                               add_to_dx, dx, c, 0, blocks_.size(block));
}

void batchnorm_normalise(std::int64_t rows, std::int64_t c, const float* x, const float* scale,
                         const float* shift, const float* residual, const Epilogue& behind,
                         float* y) {
  const KernelTable& kernel = kernels();
  parallel_ranges(rows, kRowsPerBlock, c, [&](std::int64_t first, std::int64_t last) {
    if (!behind.apart())
      return kernel.batchnorm_normalise(x, scale, shift, residual, behind.relu(), y, c, first,
                                        last);
    each_near_rows(c, first, last, [&](std::int64_t begin, std::int64_t end) {
      kernel.batchnorm_normalise(x, scale, shift, residual, false, y, c, begin, end);
      float* rows = y + begin * c;
      kernel.activation_forward(behind.kind, rows, rows, (end - begin) * c, behind.given);
    });
  });
}

void batchnorm_max_pool2d(const PoolShape& s, const float* x, const float* scale,
                          const float* shift, bool relu, float* y, std::uint8_t* indices) {
  parallel_ranges(s.n * s.oh, 4, 4 * s.ow * s.c, [&](std::int64_t begin, std::int64_t end) {
    kernels().batchnorm_max_pool2d(s, x, scale, shift, relu, y, indices, begin, end);
  });
}

void batchnorm_forward(std::int64_t n, std::int64_t rows, std::int64_t c, const float* x,
                       const float* gamma, const float* beta, float* moving_mean,
                       float* moving_variance, double momentum, double epsilon,
                       const Epilogue& behind, float* y, float* mean, float* rstd) {
  Scratch scratch;
  if (const Ranks* ranks = gathering_ranks(n, rows)) {
    const float* all = gather_batch(ranks, x, rows * c, scratch);
    float* all_y = scratch.take(ranks->samples(), rows, c);
    const WithoutRanks alone;
    batchnorm_forward(ranks->samples(), rows, c, all, gamma, beta, moving_mean, moving_variance,
                      momentum, epsilon, behind, all_y, mean, rstd);
    return copy_own(*ranks, all_y, rows * c, y);
  }
  const BatchStatistics statistics(batch_blocks(n, rows, c), scratch);
  statistics.add_all(x);
  statistics.finish(momentum, epsilon, moving_mean, moving_variance, mean, rstd);
  float* scale = scratch.take(c);
  float* shift = scratch.take(c);
  scale_and_shift(c, gamma, beta, mean, rstd, scale, shift);
  batchnorm_normalise(n * rows, c, x, scale, shift, nullptr, behind, y);
}

void moving_scale_and_shift(std::int64_t c, const float* gamma, const float* beta,
                            const float* moving_mean, const float* moving_variance, double epsilon,
                            float* scale, float* shift) {
  for (std::int64_t j = 0; j < c; ++j) {
    const double variance = static_cast<double>(moving_variance[j]) + epsilon;
    scale[j] = gamma[j] * static_cast<float>(1.0 / std::sqrt(variance));
    shift[j] = beta[j] - moving_mean[j] * scale[j];
  }
}

void batchnorm_inference(std::int64_t rows, std::int64_t c, const float* x, const float* gamma,
                         const float* beta, const float* moving_mean, const float* moving_variance,
                         double epsilon, const Epilogue& behind, float* y) {
  Scratch scratch;
  float* scale = scratch.take(c);
  float* shift = scratch.take(c);
  moving_scale_and_shift(c, gamma, beta, moving_mean, moving_variance, epsilon, scale, shift);
  batchnorm_normalise(rows, c, x, scale, shift, nullptr, behind, y);
}

void batchnorm_apply(std::int64_t rows, const BatchNorm& norm, std::int64_t c, float* y) {
  Scratch scratch;
  float* scale = scratch.take(c);
  float* shift = scratch.take(c);
  scale_and_shift(c, norm.gamma, norm.beta, norm.mean, norm.rstd, scale, shift);
  batchnorm_normalise(rows, c, norm.x, scale, shift, nullptr, norm.behind, y);
}

void batchnorm_backward(std::int64_t n, std::int64_t rows, const BatchNorm& norm, std::int64_t c,
                        const float* dy, bool add_to_dx, float* dx, float* dgamma, float* dbeta) {
  Scratch scratch;
  if (const Ranks* ranks = gathering_ranks(n, rows)) {
    const std::int64_t size = rows * c;
    BatchNorm whole = norm;
    const auto [all_dy, all_x] = gather_batch(ranks, {{dy, size}, {norm.x, size}}, scratch);
    whole.x = all_x;
    float* all_dx = scratch.take(ranks->samples(), rows, c);
    const WithoutRanks alone;
    if (add_to_dx) {
      std::fill(all_dx, all_dx + ranks->samples() * size, 0.0f);
      std::copy_n(dx, n * size, all_dx + ranks->first(ranks->rank()) * size);
    }
    batchnorm_backward(ranks->samples(), rows, whole, c, all_dy, add_to_dx, all_dx, dgamma, dbeta);
    return copy_own(*ranks, all_dx, rows * c, dx);
  }
  const RowBlocks blocks = batch_blocks(n, rows, c);
  BatchNormGradient gradient(blocks, norm, scratch);
  const bool activated = norm.behind.apart();
  float* behind = add_to_dx && activated ? scratch.take(n, rows, c) : dx;
  parallel_for(blocks.count(), n * rows * c, [&](std::int64_t block) {
    const std::int64_t at = blocks.first_row(block) * c;
    if (activated) return gradient.reduce_activated(block, dy + at, behind + at);
    gradient.reduce(block, dy + at);
  });
  if (activated) dy = behind;
  gradient.finish(dgamma, dbeta);
  parallel_for(blocks.count(), n * rows * c, [&](std::int64_t block) {
    const std::int64_t at = blocks.first_row(block) * c;
    gradient.apply(block, dy + at, dx + at, add_to_dx);
  });
}

}  // namespace convkit::ops
