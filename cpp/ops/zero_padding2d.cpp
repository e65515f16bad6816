#include "zero_padding2d.h"

#include <algorithm>

#include "pack.h"
#include "parallel.h"

namespace convkit::ops {
namespace {

constexpr std::int64_t kRowsPerTask = 64;

}  // namespace

void zero_padding2d_forward(const ZeroPadding& s, const float* x, float* y) {
  ConvShape images = {};
  images.n = s.n, images.h = s.h, images.w = s.w, images.c = s.c;
  images.pad_top = s.top, images.pad_left = s.left;
  pad_images(images, x, s.height, s.width, y);
}

void zero_padding2d_backward(const ZeroPadding& s, const float* dy, float* dx) {
  const std::int64_t size = s.w * s.c;
  parallel_ranges(s.n * s.h, kRowsPerTask, size, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      const std::int64_t from = row / s.h * s.height + row % s.h + s.top;
      std::copy_n(dy + (from * s.width + s.left) * s.c, size, dx + row * size);
    }
  });
}

}  // namespace convkit::ops
