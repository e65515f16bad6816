// Rows of a data set, scaled to float32: a batch in one pass over its images.
#pragma once

#include "simd.h"

CONVKIT_BEGIN_KERNELS

void gather_bytes(const std::uint8_t* source, float scale, float* out, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) out[i] = static_cast<float>(source[i]) * scale;
}

void gather_floats(const float* source, float scale, float* out, std::int64_t n) {
  for (std::int64_t i = 0; i < n; i += kLanes)
    store_part(out + i, mul(load_part(source + i, n - i), set1(scale)), n - i);
}

CONVKIT_END_KERNELS
