// PReLU over threads: leaky ReLU whose slopes below zero are an array that axes may share.
#pragma once

#include <vector>

#include "../shapes.h"

namespace convkit::ops {

// Samples (n,) of x as (n, a, s, b, t), neighbouring axes taken together: along a and b there is a
// slope for each place, and along s and t all share one. alpha is (a, b).
struct PreluShape {
  std::int64_t n = 1, a = 1, s = 1, b = 1, t = 1;
};

// The shape of x (N, ...) and alpha, which has x's sizes without the first one, or 1 where an axis
// is shared. False where shared axes and others take turns more often than (n, a, s, b, t).
bool prelu_shape(const std::vector<std::int64_t>& x, const std::vector<std::int64_t>& alpha,
                 PreluShape* shape);

// y = g where x > 0, else alpha * g: forward g is x, backward the output's gradient.
void prelu_apply(const PreluShape& shape, const float* x, const float* g, const float* alpha,
                 float* y);
// dalpha = the sum of dy * x over all x that are not above 0 and share a slope.
void prelu_backward_alpha(const PreluShape& shape, const float* dy, const float* x, float* dalpha);

}  // namespace convkit::ops
