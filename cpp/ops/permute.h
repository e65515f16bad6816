// Arrays of any rank with their axes in another order.
#pragma once

#include <vector>

#include "../shapes.h"

namespace convkit::ops {

constexpr int kMostAxes = 64;  // what an array of NumPy may have

// y's axes, in order, and where their neighbours are in x. Axes of size 1 are left out, and those
// that stay neighbours are one.
struct Permutation {
  int rank;
  std::int64_t size[kMostAxes];
  std::int64_t step[kMostAxes];  // floats of x
};

// y's axis i is x's axis axes[i]; no size is 0.
Permutation permutation(const std::vector<std::int64_t>& x_shape,
                        const std::vector<std::int64_t>& axes);

void permute(const Permutation& p, const float* x, float* y);

}  // namespace convkit::ops
