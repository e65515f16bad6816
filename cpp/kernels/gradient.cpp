#include "gradient.h"

#include "topics.h"

namespace convkit::CONVKIT_ISA {

GradientKernels gradient_kernels() noexcept {
  return {
      .clip_by_value = clip_by_value,
      .scale = scale,
      .accumulate = accumulate,
      .moving_average = moving_average,
      .lookahead = lookahead,
  };
}

}  // namespace convkit::CONVKIT_ISA
