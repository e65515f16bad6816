#include "layernorm.h"

#include "topics.h"

namespace convkit::CONVKIT_ISA {

LayernormKernels layernorm_kernels() noexcept {
  return {
      .layernorm_forward = layernorm_forward,
      .layernorm_backward = layernorm_backward,
      .layernorm_reduce = layernorm_reduce,
  };
}

}  // namespace convkit::CONVKIT_ISA
