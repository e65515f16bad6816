// L1 and L2 penalties of parameters, with their gradients.
#pragma once

#include <cstdint>

namespace convkit::ops {

// l1 * sum |w| + l2 * sum w^2. Unless g is null, its gradient is added to g.
double regularize(std::int64_t n, const float* w, float* g, double l1, double l2);

}  // namespace convkit::ops
