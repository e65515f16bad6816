#include "upsampling2d.h"

#include "topics.h"

namespace convkit::CONVKIT_ISA {

Upsampling2dKernels upsampling2d_kernels() noexcept {
  return {
      .upsampling2d_forward = upsampling2d_forward,
      .upsampling2d_backward = upsampling2d_backward,
  };
}

}  // namespace convkit::CONVKIT_ISA
