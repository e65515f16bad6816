// Zeros around images, and their removal from a gradient.
#pragma once

#include "../shapes.h"

namespace convkit::ops {

// The images' place in a larger plane: (n, h, w, c) in (n, height, width, c), from row `top` and
// column `left` on.
struct ZeroPadding {
  std::int64_t n, h, w, c;
  std::int64_t height, width;
  std::int64_t top, left;
};

void zero_padding2d_forward(const ZeroPadding& s, const float* x, float* y);
void zero_padding2d_backward(const ZeroPadding& s, const float* dy, float* dx);

}  // namespace convkit::ops
