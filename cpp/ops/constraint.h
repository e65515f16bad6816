// Weights whose norms are kept within bounds, after an optimizer's step.
#pragma once

#include "../shapes.h"

namespace convkit::ops {

constexpr int kMostConstrainedAxes = 8;

// The axes of an array in C order: each norm is over all positions of the summed ones, and there is
// one for each position of the others.
struct NormAxes {
  int kept, summed;
  std::int64_t kept_size[kMostConstrainedAxes], kept_step[kMostConstrainedAxes];
  std::int64_t summed_size[kMostConstrainedAxes], summed_step[kMostConstrainedAxes];
};

struct NormBounds {
  double low, high;
  double rate;  // of the way to the bounds that a norm outside goes
};

// Norms are sums in double precision, in order.
void constrain_norms(const NormAxes& axes, const NormBounds& bounds, float* w);

}  // namespace convkit::ops
