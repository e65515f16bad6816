#include "depthwise.h"

#include "topics.h"

namespace convkit::CONVKIT_ISA {

DepthwiseKernels depthwise_kernels() noexcept {
  return {
      .depthwise_correlate = depthwise_correlate,
      .depthwise_backward_weights = depthwise_backward_weights,
      .repeat_channels = repeat_channels,
      .add_channels = add_channels,
  };
}

}  // namespace convkit::CONVKIT_ISA
