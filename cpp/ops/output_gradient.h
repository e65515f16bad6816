// The gradient behind a convolution, taken back through max-pooling, ReLU and the bias.
#pragma once

#include "../shapes.h"
#include "scratch.h"

namespace convkit::ops {

// Gives the gradient of the convolution's own outputs for a few images at a time, so that they are
// still in a core's cache when the gradients of its weights and its input are computed from them.
// load() is called from several threads; every image must be loaded once before add_up().
class OutputGradient {
 public:
  // dy, y and indices are what conv2d_max_pool2d_forward wrote or, without indices, conv2d_forward;
  // y is null without ReLU. With pooling, s has even OH and OW.
  OutputGradient(const ConvShape& s, const float* dy, const float* y, const std::uint8_t* indices,
                 Scratch& scratch);

  // Floats of an image's gradient and of its scratch, 0 where load() needs none.
  std::int64_t image_size() const;
  std::int64_t scratch_size() const;
  // The gradient (end - begin, OH, OW, OC) of images [begin, end): in `to`, or dy itself.
  const float* load(std::int64_t begin, std::int64_t end, float* to, float* scratch) const;
  // The gradient of all images over threads, in `scratch` or dy itself.
  const float* load_all(Scratch& scratch) const;
  // The bias gradient (OC,).
  void add_up(float* db) const;

 private:
  ConvShape s_;
  const float *dy_, *y_;
  const std::uint8_t* indices_;
  std::int64_t rows_, blocks_;  // of one image behind the pooling
  float* sums_;                 // (N, blocks, OC)
};

}  // namespace convkit::ops
