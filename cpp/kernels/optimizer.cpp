#include "optimizer.h"

#include "topics.h"

namespace convkit::CONVKIT_ISA {

OptimizerKernels optimizer_kernels() noexcept {
  return {
      .adam_update = adam_update,
      .sgd_update = sgd_update,
      .rmsprop_update = rmsprop_update,
  };
}

}  // namespace convkit::CONVKIT_ISA
