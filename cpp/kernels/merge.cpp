#include "merge.h"

#include "topics.h"

namespace convkit::CONVKIT_ISA {

MergeKernels merge_kernels() noexcept {
  return {
      .merge = merge,
      .merge_sum = merge_sum,
      .merge_select = merge_select,
  };
}

}  // namespace convkit::CONVKIT_ISA
