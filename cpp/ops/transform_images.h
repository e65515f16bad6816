// Images of a data set, transformed one by one on their way into a batch.
#pragma once

#include <cstdint>
#include <vector>

#include "../shapes.h"

namespace convkit::ops {

// One of the things that are done to every image, in turn. Of an image's own numbers there are as
// many as images.
struct ImageStep {
  enum class Kind { kAffine, kResample, kScale, kAdjust, kErase, kGray, kColors };

  Kind kind;
  std::int64_t h, w, c;  // of what it is given

  AffineShape affine;     // kAffine
  const float* matrices;  // six numbers an image

  ResampledAxis rows, columns;  // kResample

  // kScale: (x - mean) * scale + offset, `count` numbers each, of a channel or of a position.
  // kAdjust: (x - mean) * scale + offset + mean within the bounds, c numbers an image each, where
  // mean is the channel's, or 0.
  const float *mean, *scale, *offset;
  std::int64_t count;
  bool around_mean;
  float low, high;

  // kErase: boxes of rows top .. bottom and columns left .. right, (n, 4), that become `fill` of
  // their channel; or, where that is null, normal numbers times a deviation, within the bounds.
  const std::int64_t* boxes;
  const float* fill;
  float deviation;
  std::uint64_t seed, offset_of_noise;

  // kGray: whether an image loses its colours, a byte each.
  // kColors: a change with the turn of the hue and the factor of the saturation of each image.
  const std::uint8_t* chosen;
  const float *turns, *saturations;
  ColorChange change;

  bool moves_pixels() const { return kind == Kind::kAffine || kind == Kind::kResample; }
};

// out[i] = the image source[indices[i]], of uint8 or else float32, after all steps; n of them.
void transform_images(std::int64_t n, std::int64_t h, std::int64_t w, std::int64_t c,
                      const void* source, bool bytes, const std::int64_t* indices,
                      const std::vector<ImageStep>& steps, std::int64_t out_size, float* out);

// n numbers in [0, 1).
void uniform(float* y, std::int64_t n, std::uint64_t seed, std::uint64_t offset);

}  // namespace convkit::ops
