#include "winograd_weights.h"

#include "topics.h"

namespace convkit::CONVKIT_ISA {

WinogradWeightsKernels winograd_weights_kernels() noexcept {
  return {
      .winograd_weights = winograd_weights,
      .winograd_transposed_weights = winograd_transposed_weights,
      .winograd_weight_gradient = winograd_weight_gradient,
  };
}

}  // namespace convkit::CONVKIT_ISA
