// Walking over the channels of rows, a few vectors at a time, for sums and factors of each channel
// to stay in registers.
#pragma once

#include "gemm.h"
#include "maximum.h"

CONVKIT_BEGIN_KERNELS

// Vectors of a row that are taken together, for rows to be read from end to end where they are
// short, and the constants of all to find room in registers.
constexpr int kRowVectors = 2;

// N neighbouring vectors of channels, the last of which may be a part.
template <int N>
struct Columns {
  static constexpr int count = N;
  std::int64_t first, left;  // channels: the first, and those from there on

  CONVKIT_INLINE F32 load(const float* row, int v) const {
    return load_part(row + first + v * kLanes, left - v * kLanes);
  }
  CONVKIT_INLINE void store(float* row, int v, F32 a) const {
    store_part(row + first + v * kLanes, a, left - v * kLanes);
  }
  CONVKIT_INLINE I32 load_index(const std::uint8_t* row, int v) const {
    return load_indices(row + first + v * kLanes, left - v * kLanes);
  }
  CONVKIT_INLINE void store_index(std::uint8_t* row, int v, I32 a) const {
    store_indices(row + first + v * kLanes, a, left - v * kLanes);
  }
};

// Calls f with all columns of c channels.
template <class F>
CONVKIT_INLINE void each_columns(std::int64_t c, const F& f) {
  std::int64_t j = 0;
  for (; j + (kRowVectors - 1) * kLanes < c; j += kRowVectors * kLanes)
    f(Columns<kRowVectors>{j, c - j});
  if (j < c) f(Columns<1>{j, c - j});
}

CONVKIT_END_KERNELS
