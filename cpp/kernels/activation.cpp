#include "activation.h"

#include "topics.h"

namespace convkit::CONVKIT_ISA {

ActivationKernels activation_kernels() noexcept {
  return {
      .activation_forward = activation_forward,
      .activation_backward = activation_backward,
      .softmax_forward = softmax_forward,
      .softmax_backward = softmax_backward,
  };
}

}  // namespace convkit::CONVKIT_ISA
