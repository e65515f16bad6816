// Noise for training: whole channels that are dropped, and normally distributed numbers. All of it
// is a pure function of the seed, the offset and the element's number in the batch.
#pragma once

#include <algorithm>

#include "../shapes.h"
#include "scratch.h"

namespace convkit::ops {

// Calls f(x, y, first, n) for n elements whose numbers are counted from `first`, such that first is
// a multiple of 4: a counter gives four random numbers.
template <class F>
void with_whole_counters(const float* x, float* y, std::int64_t first, std::int64_t n, const F& f) {
  const std::int64_t before = first % 4;
  if (before == 0) return f(x, y, first, n);
  Scratch scratch;
  float* shifted = scratch.take(n + before);
  std::fill_n(shifted, before, 0.0f);
  std::copy_n(x, n, shifted + before);
  f(shifted, shifted, first - before, n + before);
  std::copy_n(shifted + before, n, y);
}

// Keeps a channel of an image of x (n, plane, c) with probability 1 - rate and divides it by that.
void spatial_dropout2d(std::int64_t n, std::int64_t plane, std::int64_t c, const float* x, float* y,
                       double rate, std::uint64_t seed, std::uint64_t offset);

// x + deviation * z, or x * (1 + deviation * z), with z normal of mean 0 and deviation 1.
void gaussian_noise(const float* x, float* y, std::int64_t n, std::int64_t first, double deviation,
                    bool multiply, std::uint64_t seed, std::uint64_t offset);

// y = x; both may be the same.
void copy(const float* x, float* y, std::int64_t n);

}  // namespace convkit::ops
