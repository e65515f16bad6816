#include "transpose.h"

#include "topics.h"

namespace convkit::CONVKIT_ISA {

TransposeKernels transpose_kernels() noexcept {
  return {
      .transpose = transpose,
  };
}

}  // namespace convkit::CONVKIT_ISA
