// What a convolution writes, and what is applied to it while it is in a core's cache.
#pragma once

#include "../dispatch/cpu.h"
#include "../shapes.h"
#include "activation.h"

namespace convkit::ops {

// Arrays (N, OH, OW, OC). With an activation other than ReLU z is what it is applied to, which may
// be y; elsewhere z is y. The residual is null or added before the activation; it may be z.
struct ConvOutput {
  float* z;
  float* y;
  Epilogue behind = {};
  const float* residual = nullptr;

  ConvOutput(float* y, const Epilogue& behind = {}, const float* residual = nullptr,
             float* z = nullptr)
      : z(z && behind.apart() ? z : y), y(y), behind(behind), residual(residual) {}

  // y from `count` values of z that have just been written.
  void activate(std::int64_t at, std::int64_t count) const {
    if (behind.apart())
      kernels().activation_forward(behind.kind, z + at, y + at, count, behind.given);
  }
  // The same of rows of `width` values, OC apart, from row `begin` on.
  void activate_rows(std::int64_t begin, std::int64_t end, std::int64_t oc, std::int64_t column,
                     std::int64_t width) const {
    if (!behind.apart()) return;
    if (width == oc) return activate(begin * oc, (end - begin) * oc);
    for (std::int64_t row = begin; row < end; ++row) activate(row * oc + column, width);
  }
  // All of `count` values, over threads.
  void activate_all(std::int64_t count) const {
    if (behind.apart()) activation_forward(behind.kind, z, y, count, behind.given);
  }
};

}  // namespace convkit::ops
