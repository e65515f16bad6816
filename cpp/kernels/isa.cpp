// One instruction set's table of kernels, put together from its topics.
#include "simd.h"
#include "topics.h"

#define CONVKIT_STRING_OF(name) #name
#define CONVKIT_STRING(name) CONVKIT_STRING_OF(name)

namespace convkit::CONVKIT_ISA {

const KernelTable* kernel_table() {
  static const KernelTable table = {
      {.lanes = kLanes, .tile_rows = kTileRows, .tile_columns = kTileVectors * kLanes},
      conv2d_kernels(),
      depthwise_kernels(),
      winograd_kernels(),
      winograd_weights_kernels(),
      pool2d_kernels(),
      batchnorm_kernels(),
      layernorm_kernels(),
      groupnorm_kernels(),
      activation_kernels(),
      optimizer_kernels(),
      gradient_kernels(),
      regularizer_kernels(),
      dropout_kernels(),
      gaussian_noise_kernels(),
      gather_kernels(),
      transform_images_kernels(),
      merge_kernels(),
      transpose_kernels(),
      upsampling2d_kernels(),
      peak_kernels(),
      CONVKIT_STRING(CONVKIT_ISA),
  };
  return &table;
}

}  // namespace convkit::CONVKIT_ISA
