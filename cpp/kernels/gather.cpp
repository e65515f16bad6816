#include "gather.h"

#include "topics.h"

namespace convkit::CONVKIT_ISA {

GatherKernels gather_kernels() noexcept {
  return {
      .gather_bytes = gather_bytes,
      .gather_floats = gather_floats,
  };
}

}  // namespace convkit::CONVKIT_ISA
