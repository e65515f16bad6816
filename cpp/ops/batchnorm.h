// Batch normalisation over threads, on (rows, C) matrices.
#pragma once

#include "../shapes.h"
#include "scratch.h"

namespace convkit::ops {

// A batch's images (N, rows, C) in blocks of rows, each of one image: what is summed over a batch
// is summed per block first, so that images can be taken in any order and by any thread.
struct RowBlocks {
  std::int64_t images, rows, c;
  std::int64_t of_image;  // blocks

  RowBlocks(std::int64_t images, std::int64_t rows, std::int64_t c);
  // The same of the whole batch, where other ranks have other images of it.
  RowBlocks of_whole_batch() const;
  std::int64_t count() const { return images * of_image; }
  std::int64_t first_row(std::int64_t block) const;  // of the batch
  std::int64_t size(std::int64_t block) const;       // rows
};

// The statistics of a batch in training.
class BatchStatistics {
 public:
  BatchStatistics(const RowBlocks& blocks, Scratch& scratch);

  // Takes images [begin, end) of x; every image must be taken once before finish().
  void add_images(const float* x, std::int64_t begin, std::int64_t end) const;
  void add_all(const float* x) const;
  // mean and rstd (C); the moving statistics become momentum * moving + (1 - momentum) * batch.
  void finish(double momentum, double epsilon, float* moving_mean, float* moving_variance,
              float* mean, float* rstd) const;

 private:
  void add(const float* x, std::int64_t block) const;

  RowBlocks blocks_;
  float *means_, *deviations_;
};

// What a layer's gradient depends on besides the gradient behind it.
struct BatchNorm {
  const float* x;  // its input
  const float *gamma, *beta;
  const float *mean, *rstd;  // the batch's
  Epilogue behind;
};

// The gradient of a batch normalisation with its batch's statistics: reduce() all, finish(), then
// apply().
class BatchNormGradient {
 public:
  BatchNormGradient(const RowBlocks& blocks, const BatchNorm& norm, Scratch& scratch);

  const RowBlocks& blocks() const { return blocks_; }
  // What apply() reads of the layer's input for images [begin, end).
  MemoryRange input_of(std::int64_t begin, std::int64_t end) const {
    const std::int64_t image = blocks_.rows * blocks_.c;
    return {norm_.x + begin * image, norm_.x + end * image};
  }
  // dy and dx are the block's rows.
  void reduce(std::int64_t block, const float* dy) const;
  // The same where an activation other than ReLU is behind: g, which may be dy, becomes the
  // gradient behind the normalisation, and is what apply() takes for dy. Both are the block's rows.
  void reduce_activated(std::int64_t block, const float* dy, float* g) const;
  // The same where ReLU was behind a sum y: of the whole batch, g, which may be dy, becomes dy
  // where y > 0.
  void reduce_masked(std::int64_t block, const float* dy, const float* y, float* g) const;
  // The same as reduce() where the output was max-pooled 2 x 2 as s says: dy is the gradient of all
  // that was pooled, y the outputs behind ReLU or null.
  void reduce_pooled(const PoolShape& s, std::int64_t block, const float* dy, const float* y,
                     const std::uint8_t* indices) const;
  void finish(float* dgamma, float* dbeta);
  void apply(std::int64_t block, const float* dy, float* dx, bool add_to_dx = false) const;

 private:
  RowBlocks blocks_;
  BatchNorm norm_;
  float *sums_, *products_;
  float *scale_, *shift_, *mean_dy_, *mean_dy_xhat_;
};

// The forward pass is y = x * scale + shift.
void scale_and_shift(std::int64_t c, const float* gamma, const float* beta, const float* mean,
                     const float* rstd, float* scale, float* shift);

// The same from the moving statistics.
void moving_scale_and_shift(std::int64_t c, const float* gamma, const float* beta,
                            const float* moving_mean, const float* moving_variance, double epsilon,
                            float* scale, float* shift);

// y = gamma * (x - mean) * rstd + beta with the batch's own statistics (population variance), then
// the activation. mean and rstd (C) are written for the backward pass; the moving statistics
// become momentum * moving + (1 - momentum) * batch.
// x is (n, rows, c), as are y and the gradients.
void batchnorm_forward(std::int64_t n, std::int64_t rows, std::int64_t c, const float* x,
                       const float* gamma, const float* beta, float* moving_mean,
                       float* moving_variance, double momentum, double epsilon,
                       const Epilogue& behind, float* y, float* mean, float* rstd);

// y = x * scale + shift, plus a residual that is not null, then the activation. y may be x.
void batchnorm_normalise(std::int64_t rows, std::int64_t c, const float* x, const float* scale,
                         const float* shift, const float* residual, const Epilogue& behind,
                         float* y);

// The same without a residual and with ReLU at most, then max-pooled 2 x 2 as s says.
void batchnorm_max_pool2d(const PoolShape& s, const float* x, const float* scale,
                          const float* shift, bool relu, float* y, std::uint8_t* indices);

void batchnorm_inference(std::int64_t rows, std::int64_t c, const float* x, const float* gamma,
                         const float* beta, const float* moving_mean, const float* moving_variance,
                         double epsilon, const Epilogue& behind, float* y);

// What batchnorm_forward wrote to y, bit for bit, from the statistics that it wrote.
void batchnorm_apply(std::int64_t rows, const BatchNorm& norm, std::int64_t c, float* y);

// dx is dy or an array of its own; with add_to_dx the latter, and what it holds is added to.
void batchnorm_backward(std::int64_t n, std::int64_t rows, const BatchNorm& norm, std::int64_t c,
                        const float* dy, bool add_to_dx, float* dx, float* dgamma, float* dbeta);

}  // namespace convkit::ops
