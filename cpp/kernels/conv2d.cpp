#include "conv2d.h"

#include "topics.h"

namespace convkit::CONVKIT_ISA {

Conv2dKernels conv2d_kernels() noexcept {
  return {
      .correlate = correlate,
      .conv2d_backward_weights = conv2d_backward_weights,
  };
}

}  // namespace convkit::CONVKIT_ISA
