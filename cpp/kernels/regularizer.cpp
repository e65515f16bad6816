#include "regularizer.h"

#include "topics.h"

namespace convkit::CONVKIT_ISA {

RegularizerKernels regularizer_kernels() noexcept {
  return {
      .regularize = regularize,
  };
}

}  // namespace convkit::CONVKIT_ISA
