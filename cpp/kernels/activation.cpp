#include "activation.h"
#include "prelu.h"
#include "softmax.h"
#include "topics.h"

namespace convkit::CONVKIT_ISA {

ActivationKernels activation_kernels() noexcept {
  return {
      .activation_forward = activation_forward,
      .activation_backward = activation_backward,
      .softmax_forward = softmax_forward,
      .softmax_backward = softmax_backward,
      .softmax_sums = softmax_sums,
      .log_softmax_forward = log_softmax_forward,
      .log_softmax_backward = log_softmax_backward,
      .prelu_apply = prelu_apply,
      .prelu_sums = prelu_sums,
  };
}

}  // namespace convkit::CONVKIT_ISA
