// Noise for training: whole channels that are dropped, and normally distributed numbers. All of it
// is a pure function of the seed, the offset and the element's position.
#pragma once

#include "../shapes.h"

namespace convkit::ops {

// Keeps a channel of an image of x (n, plane, c) with probability 1 - rate and divides it by that.
void spatial_dropout2d(std::int64_t n, std::int64_t plane, std::int64_t c, const float* x, float* y,
                       double rate, std::uint64_t seed, std::uint64_t offset);

// x + deviation * z, or x * (1 + deviation * z), with z normal of mean 0 and deviation 1.
void gaussian_noise(const float* x, float* y, std::int64_t n, double deviation, bool multiply,
                    std::uint64_t seed, std::uint64_t offset);

// y = x; both may be the same.
void copy(const float* x, float* y, std::int64_t n);

}  // namespace convkit::ops
