#include "winograd.h"

#include "topics.h"

namespace convkit::CONVKIT_ISA {

WinogradKernels winograd_kernels() noexcept {
  return {
      .winograd_inputs = winograd_inputs,
      .winograd_forward = winograd_forward,
      .winograd_image_inputs = winograd_image_inputs,
      .winograd_output_gradients = winograd_output_gradients,
      .winograd_outer_products = winograd_outer_products,
      .winograd_input_gradients = winograd_input_gradients,
      .winograd_backward = winograd_backward,
      .winograd_block_size = winograd_block_size,
  };
}

}  // namespace convkit::CONVKIT_ISA
