#include "conv2d_batchnorm.h"

#include <algorithm>

#include "conv2d.h"
#include "conv2d_max_pool2d.h"
#include "kept_weights.h"
#include "output_gradient.h"
#include "pool2d.h"
#include "scratch.h"

namespace convkit::ops {
namespace {

RowBlocks output_blocks(const ConvShape& s) { return RowBlocks(s.n, s.oh * s.ow, s.oc); }

}  // namespace

void conv2d_batchnorm_forward(const ConvShape& s, const float* x, const float* w, const float* b,
                              const float* gamma, const float* beta, float* moving_mean,
                              float* moving_variance, double momentum, double epsilon,
                              const float* residual, const Epilogue& behind, float* z, float* mean,
                              float* rstd, float* y, std::uint8_t* indices) {
  Scratch scratch;
  const BatchStatistics statistics(output_blocks(s), scratch);
  conv2d_forward(s, x, w, b, z, &statistics);
  statistics.finish(momentum, epsilon, moving_mean, moving_variance, mean, rstd);
  float* scale = scratch.take(s.oc);
  float* shift = scratch.take(s.oc);
  scale_and_shift(s.oc, gamma, beta, mean, rstd, scale, shift);
  if (indices) {
    batchnorm_max_pool2d(pool_of_two(s), z, scale, shift, behind.relu(), y, indices);
  } else {
    batchnorm_normalise(s.n * s.oh * s.ow, s.oc, z, scale, shift, residual, behind, y);
  }
}

void conv2d_batchnorm_inference(const ConvShape& s, const float* x, const float* w, const float* b,
                                const float* gamma, const float* beta, const float* moving_mean,
                                const float* moving_variance, double epsilon, const float* residual,
                                const Epilogue& behind, float* y, std::uint8_t* indices) {
  Scratch scratch;
  const std::int64_t rows = s.kh * s.kw * (s.c / s.groups), size = product(rows + 1, s.oc);
  // (rows, OC) scaled weights, and the shift.
  const auto fold = [&](float* folded) {
    Scratch own;
    float* scale = own.take(s.oc);
    float* zeros = own.take(s.oc);
    float* shift = folded + rows * s.oc;
    moving_scale_and_shift(s.oc, gamma, beta, moving_mean, moving_variance, epsilon, scale, shift);
    if (b)
      for (std::int64_t o = 0; o < s.oc; ++o) shift[o] += b[o] * scale[o];
    std::fill(zeros, zeros + s.oc, 0.0f);
    batchnorm_normalise(rows, s.oc, w, scale, zeros, nullptr, {}, folded);
  };
  const float* scaled = nullptr;
  if (s.kept && KeptWeights::is_worth_keeping(size)) {
    scaled = s.kept->get(KeptWeights::kFolded, size, fold);
  } else {
    float* folded = scratch.take(size);
    fold(folded);
    scaled = folded;
  }
  const float* shift = scaled + rows * s.oc;
  if (indices) {
    conv2d_max_pool2d_forward(s, x, scaled, shift, behind.relu(), y, indices);
  } else {
    conv2d_forward(s, x, scaled, shift, {y, behind, residual});
  }
}

void conv2d_batchnorm_backward(const ConvShape& s, const float* x, const float* w,
                               const BatchNorm& norm, const float* dy, const float* y,
                               const std::uint8_t* indices, float* dresidual, bool add_to_dx,
                               float* dx, float* dw, float* db, float* dgamma, float* dbeta) {
  Scratch scratch;
  // Behind a pool ReLU's mask is that of the maxima, on a quarter of the elements, and behind a sum
  // that of the sum; elsewhere the normalisation, which computes its output again, applies it.
  BatchNorm here = norm;
  if (indices || dresidual) here.behind.none = !norm.behind.apart();
  BatchNormGradient gradient(output_blocks(s), here, scratch);
  const float* mask = norm.behind.relu() && indices ? y : nullptr;
  const OutputGradient output(s, dresidual ? dresidual : dy, mask, indices, &gradient, db, scratch);
  if (norm.behind.apart()) {
    output.reduce_activated(dy, dresidual);
  } else if (dresidual) {
    output.reduce_masked(dy, y, dresidual);
  } else {
    output.reduce();
  }
  gradient.finish(dgamma, dbeta);
  if (dx || dw || db) conv2d_backward(s, x, w, output, add_to_dx, dx, dw);
}

}  // namespace convkit::ops
