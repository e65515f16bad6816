// Transposed copies of matrices, a square of vectors at a time.
#pragma once

#include "gemm.h"

CONVKIT_BEGIN_KERNELS

// v[i] becomes column i of the square whose rows v held: log2(kLanes) perfect shuffles.
CONVKIT_INLINE void transpose_square(F32 (&v)[kLanes]) {
  for (int step = 1; step < kLanes; step *= 2) {
    F32 shuffled[kLanes];
    each<kLanes / 2>([&](auto i) CONVKIT_LAMBDA {
      shuffled[2 * i] = interleave_low(v[i], v[i + kLanes / 2]);
      shuffled[2 * i + 1] = interleave_high(v[i], v[i + kLanes / 2]);
    });
    each<kLanes>([&](auto i) CONVKIT_LAMBDA { v[i] = shuffled[i]; });
  }
}

// to (columns, width) = the transpose of from (rows, columns), and zeros where width exceeds rows;
// neighbouring rows are ld_from and ld_to floats apart.
inline void transpose(const float* from, std::int64_t ld_from, std::int64_t rows,
                      std::int64_t columns, float* to, std::int64_t ld_to, std::int64_t width) {
  for (std::int64_t r = 0; r < width; r += kLanes) {
    for (std::int64_t c = 0; c < columns; c += kLanes) {
      F32 v[kLanes];
      each<kLanes>([&](auto i) CONVKIT_LAMBDA {
        v[i] = r + i < rows ? load_part(from + (r + i) * ld_from + c, columns - c) : zero();
      });
      transpose_square(v);
      each<kLanes>([&](auto i) CONVKIT_LAMBDA {
        if (c + i < columns) store_part(to + (c + i) * ld_to + r, v[i], width - r);
      });
    }
  }
}

CONVKIT_END_KERNELS
