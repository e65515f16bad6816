#include "groupnorm.h"

#include "topics.h"

namespace convkit::CONVKIT_ISA {

GroupnormKernels groupnorm_kernels() noexcept {
  return {
      .groupnorm_normalise = groupnorm_normalise,
      .groupnorm_backward = groupnorm_backward,
  };
}

}  // namespace convkit::CONVKIT_ISA
