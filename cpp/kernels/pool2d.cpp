#include "pool2d.h"

#include "topics.h"

namespace convkit::CONVKIT_ISA {

Pool2dKernels pool2d_kernels() noexcept {
  return {
      .max_pool2d_forward = max_pool2d_forward,
      .max_pool2d_backward = max_pool2d_backward,
      .average_pool2d_forward = average_pool2d_forward,
      .average_pool2d_backward = average_pool2d_backward,
  };
}

}  // namespace convkit::CONVKIT_ISA
