#include "batchnorm.h"

#include "topics.h"

namespace convkit::CONVKIT_ISA {

BatchnormKernels batchnorm_kernels() noexcept {
  return {
      .batchnorm_statistics = batchnorm_statistics,
      .batchnorm_normalise = batchnorm_normalise,
      .batchnorm_max_pool2d = batchnorm_max_pool2d,
      .batchnorm_reduce = batchnorm_reduce,
      .batchnorm_reduce_masked = batchnorm_reduce_masked,
      .batchnorm_reduce_pooled = batchnorm_reduce_pooled,
      .batchnorm_backward = batchnorm_backward,
      .sum_rows = sum_rows,
      .relu_sum_rows = relu_sum_rows,
      .add_blocks = add_blocks,
      .add_parts = add_parts,
      .add_statistics = add_statistics,
  };
}

}  // namespace convkit::CONVKIT_ISA
