#include "optimizer.h"

#include "topics.h"

namespace convkit::CONVKIT_ISA {

OptimizerKernels optimizer_kernels() noexcept {
  return {
      .adam_update = adam_update,
      .sgd_update = sgd_update,
      .rmsprop_update = rmsprop_update,
      .adagrad_update = adagrad_update,
      .adadelta_update = adadelta_update,
      .adamax_update = adamax_update,
      .nadam_update = nadam_update,
      .lion_update = lion_update,
      .ftrl_update = ftrl_update,
      .muon_momentum = muon_momentum,
      .combine = combine,
  };
}

}  // namespace convkit::CONVKIT_ISA
