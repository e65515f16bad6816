// The input channels of a Winograd convolution's gradients, some at a time.
#pragma once

#include <algorithm>

#include "winograd_shape.h"

namespace convkit::ops {

// Input channels [begin, end) in chunks, one after the other.
struct Chunks {
  Chunks(const WinogradShape& shape, std::int64_t channels, std::int64_t begin, std::int64_t end)
      : a(shape), begin(begin), end(end) {
    a.lc = channels;
    a.matrix = weights_stride(a.lc, a.loc);
    size = weights_size(a);
    count = ceil_div(end - begin, channels);
  }

  WinogradShape operator[](std::int64_t i) const {
    WinogradShape chunk = a;
    chunk.lc = std::min(a.lc, end - first(i));
    return chunk;
  }
  // The first channel of a chunk.
  std::int64_t first(std::int64_t i) const { return begin + i * a.lc; }

  WinogradShape a;  // of all chunks but the last
  std::int64_t begin, end, count;
  std::int64_t size;  // floats of a chunk's weights, all points
};

}  // namespace convkit::ops
