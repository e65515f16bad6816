// Compiled once per instruction set, with that set's flags and CONVKIT_ISA as its name.
#include "../dispatch/kernel_table.h"
#include "activation.h"
#include "batchnorm.h"
#include "conv2d.h"
#include "depthwise.h"
#include "dropout.h"
#include "gather.h"
#include "optimizer.h"
#include "peak.h"
#include "pool2d.h"
#include "regularizer.h"
#include "transpose.h"
#include "winograd.h"

#define CONVKIT_STRING_OF(name) #name
#define CONVKIT_STRING(name) CONVKIT_STRING_OF(name)

namespace convkit::CONVKIT_ISA {

const KernelTable* kernel_table() {
  static constexpr KernelTable table = {
      CONVKIT_STRING(CONVKIT_ISA),
      kLanes,
      kTileRows,
      kTileVectors * kLanes,
      2 * kPeakChains * kLanes,
      correlate,
      conv2d_backward_weights,
      depthwise_correlate,
      depthwise_backward_weights,
      repeat_channels,
      add_channels,
      winograd_inputs,
      winograd_forward,
      winograd_output_gradients,
      winograd_backward,
      winograd_block_size,
      winograd_weights,
      winograd_transposed_weights,
      winograd_weight_gradient,
      winograd_weight_gradient_of_pieces,
      max_pool2d_forward,
      max_pool2d_backward,
      average_pool2d_forward,
      average_pool2d_backward,
      batchnorm_statistics,
      batchnorm_normalise,
      batchnorm_max_pool2d,
      batchnorm_reduce,
      batchnorm_reduce_pooled,
      batchnorm_backward,
      sum_rows,
      relu_sum_rows,
      activation_forward,
      activation_backward,
      softmax_forward,
      softmax_backward,
      adam_update,
      sgd_update,
      rmsprop_update,
      regularize,
      dropout,
      gather_bytes,
      gather_floats,
      transpose,
      multiply_add_peak,
  };
  return &table;
}

}  // namespace convkit::CONVKIT_ISA
