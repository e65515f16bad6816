#include "dropout.h"

#include "topics.h"

namespace convkit::CONVKIT_ISA {

DropoutKernels dropout_kernels() noexcept {
  return {
      .dropout = dropout,
      .drop_channels = drop_channels,
  };
}

}  // namespace convkit::CONVKIT_ISA
