// One instruction set's kernels, as a table of function pointers, topic by topic. Kernels are pure
// single-thread functions; cpp/ops cuts the work and calls them through the active table.
#pragma once

#include <cstdint>

#include "../shapes.h"

namespace convkit {

struct Conv2dKernels {
  void (*correlate)(const Correlation&, std::int64_t begin, std::int64_t end,
                    std::int64_t col_begin, std::int64_t col_end, const float** table);
  void (*conv2d_backward_weights)(const ConvShape&, const float* x, std::int64_t ldx,
                                  const float* dy, float* dw, bool accumulate, std::int64_t n_begin,
                                  std::int64_t n_end, std::int64_t group, std::int64_t c_begin,
                                  std::int64_t c_end, std::int64_t o_begin, std::int64_t o_end);
};

struct DepthwiseKernels {
  void (*depthwise_correlate)(const Correlation&, std::int64_t begin, std::int64_t end);
  void (*depthwise_backward_weights)(const ConvShape&, const float* x, const float* dy, float* dw,
                                     std::int64_t n_begin, std::int64_t n_end, std::int64_t c_begin,
                                     std::int64_t c_end);
  void (*repeat_channels)(const float* x, std::int64_t count, std::int64_t times, float* out);
  void (*add_channels)(const float* x, std::int64_t count, std::int64_t times, bool accumulate,
                       float* out);
};

struct WinogradKernels {
  void (*winograd_inputs)(const WinogradShape&, const float* x, std::int64_t begin,
                          std::int64_t end, std::int64_t c_begin, std::int64_t c_end, float* v);
  void (*winograd_forward)(const WinogradShape&, const float* v, const float* u, const float* bias,
                           const float* residual, bool relu, float* y, std::uint8_t* indices,
                           std::int64_t first, std::int64_t begin, std::int64_t end,
                           const MemoryRange* ahead, float* scratch);
  void (*winograd_image_inputs)(const WinogradShape&, const float* x, std::int64_t first,
                                std::int64_t image, std::int64_t before, std::int64_t images,
                                float* v);
  void (*winograd_output_gradients)(const WinogradShape&, const float* dy,
                                    const std::uint8_t* indices, float* z, std::int64_t begin,
                                    std::int64_t end, std::int64_t before, std::int64_t images);
  void (*winograd_outer_products)(const WinogradShape&, const float* v, const float* z, float* du,
                                  std::int64_t images, std::int64_t first, std::int64_t last,
                                  bool accumulate);
  void (*winograd_input_gradients)(const WinogradShape&, const float* z, const float* u, float* dx,
                                   std::int64_t first, std::int64_t begin, std::int64_t end,
                                   std::int64_t before, std::int64_t images, float* scratch);
  void (*winograd_backward)(const WinogradShape&, const float* x, const float* z, const float* u,
                            float* du, float* dx, std::int64_t first, std::int64_t begin,
                            std::int64_t end, bool accumulate, const MemoryRange* ahead,
                            float* scratch);
  std::int64_t (*winograd_block_size)(const WinogradShape&, std::int64_t tiles,
                                      std::int64_t channels);
};

struct WinogradWeightsKernels {
  void (*winograd_weights)(const WinogradShape&, const float* w, std::int64_t ldw, float* u,
                           std::int64_t begin, std::int64_t end);
  void (*winograd_transposed_weights)(const WinogradShape&, const float* w, std::int64_t first,
                                      std::int64_t begin, std::int64_t end, float* u);
  void (*winograd_weight_gradient)(const WinogradShape&, const float* du, float* dw,
                                   std::int64_t begin, std::int64_t end);
};

struct Pool2dKernels {
  void (*max_pool2d_forward)(const PoolShape&, const float* x, float* y, void* indices, bool wide,
                             std::int64_t begin, std::int64_t end);
  void (*max_pool2d_backward)(const PoolShape&, const float* dy, const void* indices, bool wide,
                              float* dx, std::int64_t begin, std::int64_t end);
  void (*average_pool2d_forward)(const PoolShape&, const float* x, float* y, std::int64_t begin,
                                 std::int64_t end);
  void (*average_pool2d_backward)(const PoolShape&, const float* dy, float* dx, std::int64_t begin,
                                  std::int64_t end);
};

struct BatchnormKernels {
  void (*batchnorm_statistics)(const float* x, std::int64_t c, std::int64_t begin, std::int64_t end,
                               float* mean, float* deviations);
  void (*batchnorm_normalise)(const float* x, const float* scale, const float* shift,
                              const float* residual, bool relu, float* y, std::int64_t c,
                              std::int64_t begin, std::int64_t end);
  void (*batchnorm_max_pool2d)(const PoolShape&, const float* x, const float* scale,
                               const float* shift, bool relu, float* y, std::uint8_t* indices,
                               std::int64_t begin, std::int64_t end);
  void (*batchnorm_reduce)(const float* dy, const float* x, const float* scale, const float* shift,
                           const float* mean, const float* rstd, bool relu, std::int64_t c,
                           std::int64_t begin, std::int64_t end, float* sum_dy, float* sum_dy_xhat);
  void (*batchnorm_reduce_masked)(const float* dy, const float* y, const float* x,
                                  const float* mean, const float* rstd, float* g, std::int64_t c,
                                  std::int64_t begin, std::int64_t end, float* sum_dy,
                                  float* sum_dy_xhat);
  void (*batchnorm_reduce_pooled)(const PoolShape&, const float* dy, const float* y,
                                  const std::uint8_t* indices, const float* x, const float* mean,
                                  const float* rstd, std::int64_t begin, std::int64_t end,
                                  float* sum_dy, float* sum_dy_xhat);
  void (*batchnorm_backward)(const float* dy, const float* x, const float* scale,
                             const float* shift, const float* mean, const float* rstd,
                             const float* mean_dy, const float* mean_dy_xhat, bool relu,
                             bool add_to_dx, float* dx, std::int64_t c, std::int64_t begin,
                             std::int64_t end);
  void (*sum_rows)(const float* x, std::int64_t c, std::int64_t begin, std::int64_t end,
                   float* sum);
  void (*relu_sum_rows)(const float* dy, const float* y, std::int64_t c, std::int64_t begin,
                        std::int64_t end, float* out, float* sum);
  void (*add_blocks)(const float* blocks, std::int64_t count, std::int64_t c, float* total);
  void (*add_parts)(const float* parts, const std::uint8_t* levels, std::int64_t count,
                    std::int64_t size, std::int64_t begin, std::int64_t end, float* sum);
  void (*add_statistics)(const float* means, const float* deviations, std::int64_t count,
                         std::int64_t c, const double* share, const double* spread, double* mean,
                         double* deviation);
};

struct LayernormKernels {
  void (*layernorm_forward)(const float* x, const float* gamma, const float* beta, double epsilon,
                            float* y, float* mean, float* rstd, std::int64_t k, std::int64_t begin,
                            std::int64_t end);
  void (*layernorm_backward)(const float* dy, const float* x, const float* gamma, const float* mean,
                             const float* rstd, float* dx, std::int64_t k, std::int64_t begin,
                             std::int64_t end);
  void (*layernorm_reduce)(const float* dy, const float* x, const float* mean, const float* rstd,
                           std::int64_t k, std::int64_t c, std::int64_t begin, std::int64_t end,
                           float* sum_dy, float* sum_dy_xhat);
};

struct GroupnormKernels {
  void (*groupnorm_normalise)(const float* x, const float* mean, const float* scale,
                              const float* shift, float* y, std::int64_t c, std::int64_t begin,
                              std::int64_t end);
  void (*groupnorm_backward)(const float* dy, const float* x, const float* mean, const float* scale,
                             const float* shift, const float* slope, float* dx, std::int64_t c,
                             std::int64_t begin, std::int64_t end);
};

struct ActivationKernels {
  void (*activation_forward)(Activation, const float* x, float* y, std::int64_t n,
                             ActivationParameters given);
  void (*activation_backward)(Activation, const float* dy, const float* v, float* dx,
                              std::int64_t n, ActivationParameters given);
  void (*softmax_forward)(const float* x, float* y, std::int64_t rows, std::int64_t k, float* peak,
                          float* sum);
  void (*softmax_backward)(const float* dy, const float* y, float* dx, std::int64_t rows,
                           std::int64_t k);
  void (*softmax_sums)(const float* x, std::int64_t rows, std::int64_t k, float* peak, float* sum);
  void (*log_softmax_forward)(const float* x, const float* peak, const float* log_sum, float* y,
                              std::int64_t rows, std::int64_t k);
  void (*log_softmax_backward)(const float* dy, const float* y, float* dx, std::int64_t rows,
                               std::int64_t k);
  void (*prelu_apply)(const PreluRows&, const float* x, const float* g, const float* alpha,
                      float* y);
  void (*prelu_sums)(const PreluRows&, const float* dy, const float* x, float* sums);
};

struct OptimizerKernels {
  void (*adam_update)(float* w, const float* g, float* m, float* v, float* peak, std::int64_t n,
                      float step, float one_minus_beta_1, float one_minus_beta_2, float epsilon,
                      float decay);
  void (*sgd_update)(float* w, const float* g, float* velocity, std::int64_t n, float rate,
                     float momentum, bool nesterov, float decay);
  void (*rmsprop_update)(float* w, const float* g, float* v, float* momentum, float* mean,
                         std::int64_t n, float rate, float one_minus_rho, float share,
                         float epsilon, float decay);
  void (*adagrad_update)(float* w, const float* g, float* sum, std::int64_t n, float rate,
                         float epsilon, float decay);
  void (*adadelta_update)(float* w, const float* g, float* v, float* u, std::int64_t n, float rate,
                          float one_minus_rho, float epsilon, float decay);
  void (*adamax_update)(float* w, const float* g, float* m, float* u, std::int64_t n, float step,
                        float one_minus_beta_1, float beta_2, float epsilon, float decay);
  void (*nadam_update)(float* w, const float* g, float* m, float* v, std::int64_t n, float of_m,
                       float of_g, float of_v, float one_minus_beta_1, float one_minus_beta_2,
                       float epsilon, float decay);
  void (*lion_update)(float* w, const float* g, float* m, std::int64_t n, float rate, float beta_1,
                      float beta_2, float decay);
  void (*ftrl_update)(float* w, const float* g, float* sum, float* linear, std::int64_t n,
                      const FtrlNumbers&, float decay);
  void (*muon_momentum)(const float* g, float* m, float* out, std::int64_t n, float momentum,
                        bool nesterov);
  void (*combine)(float a, const float* x, float b, float* y, std::int64_t n);
};

struct GradientKernels {
  void (*clip_by_value)(float* g, std::int64_t n, float limit);
  void (*scale)(float* g, std::int64_t n, float factor);
  void (*accumulate)(float* total, const float* g, std::int64_t n, float factor);
  void (*moving_average)(float* average, const float* w, std::int64_t n, float momentum);
  void (*lookahead)(float* slow, float* w, std::int64_t n, float share);
};

struct RegularizerKernels {
  void (*regularize)(const float* w, float* g, std::int64_t n, float l1, float twice_l2,
                     double* sums);
};

struct DropoutKernels {
  void (*dropout)(const float* x, float* y, std::int64_t first, std::int64_t begin,
                  std::int64_t end, std::uint64_t seed, std::uint64_t offset,
                  std::uint32_t threshold, float scale);
  void (*drop_channels)(const float* x, const float* factors, float* y, std::int64_t c,
                        std::int64_t plane, std::int64_t begin, std::int64_t end);
};

struct GaussianNoiseKernels {
  void (*gaussian_noise)(const float* x, float* y, std::int64_t first, std::int64_t begin,
                         std::int64_t end, std::uint64_t seed, std::uint64_t offset,
                         float deviation, bool multiply);
};

struct GatherKernels {
  void (*gather_bytes)(const std::uint8_t* source, float scale, float* out, std::int64_t n);
  void (*gather_floats)(const float* source, float scale, float* out, std::int64_t n);
};

// Of one image, but for `uniform`.
struct TransformImagesKernels {
  void (*affine_transform_bytes)(const AffineShape&, const float* matrix, const std::uint8_t* image,
                                 float* out, float* floats, std::int32_t* integers);
  void (*affine_transform_floats)(const AffineShape&, const float* matrix, const float* image,
                                  float* out, float* floats, std::int32_t* integers);
  void (*resample_bytes)(const ResampledAxis& rows, const ResampledAxis& columns, std::int64_t c,
                         const std::uint8_t* image, float* out, float* scratch);
  void (*resample_floats)(const ResampledAxis& rows, const ResampledAxis& columns, std::int64_t c,
                          const float* image, float* out, float* scratch);
  void (*scale_image)(float* x, std::int64_t n, const float* mean, const float* scale,
                      const float* offset, std::int64_t period, float low, float high);
  void (*channel_means)(const float* x, std::int64_t n, std::int64_t c, float* pattern,
                        double* means);
  void (*make_gray)(float* x, std::int64_t pixels);
  void (*change_colors)(float* x, std::int64_t pixels, const ColorChange& change);
  void (*bounded_noise)(float* y, std::int64_t n, std::uint64_t counter, std::uint64_t seed,
                        std::uint64_t offset, float deviation, float low, float high);
  void (*uniform)(float* y, std::int64_t begin, std::int64_t end, std::uint64_t seed,
                  std::uint64_t offset);
};

struct MergeKernels {
  void (*merge)(const MergeShape&, Merge, float divisor, std::int64_t begin, std::int64_t end,
                float* y, std::uint8_t* indices);
  void (*merge_sum)(const MergeShape& kept, const MergeShape& summed, bool columns,
                    const std::uint8_t* indices, int index, float divisor, std::int64_t begin,
                    std::int64_t end, float* out);
  void (*merge_select)(const float* dy, const std::uint8_t* indices, int index, float* dx,
                       std::int64_t n);
};

struct TransposeKernels {
  void (*transpose)(const float* from, std::int64_t ld_from, std::int64_t rows,
                    std::int64_t columns, float* to, std::int64_t ld_to, std::int64_t width);
};

struct Upsampling2dKernels {
  void (*upsampling2d_forward)(const Upsampling&, const float* x, float* y, std::int64_t begin,
                               std::int64_t end, float* scratch);
  void (*upsampling2d_backward)(const Upsampling&, const float* dy, float* dx, std::int64_t begin,
                                std::int64_t end, float* scratch);
};

struct PeakKernels {
  std::int64_t peak_flops;  // operations in a round of multiply_add_peak
  float (*multiply_add_peak)(std::int64_t rounds);
};

// The register tile that the shapes of tasks are made to fit.
struct TileSizes {
  std::int64_t lanes;         // floats in a vector
  std::int64_t tile_rows;     // output positions in a register tile
  std::int64_t tile_columns;  // output channels in a register tile
};

// All topics' kernels, each under its own name. A topic is a type of its own, and is filled by its
// fields' names, so that no two kernels can take each other's place unseen.
struct KernelTable : TileSizes,
                     Conv2dKernels,
                     DepthwiseKernels,
                     WinogradKernels,
                     WinogradWeightsKernels,
                     Pool2dKernels,
                     BatchnormKernels,
                     LayernormKernels,
                     GroupnormKernels,
                     ActivationKernels,
                     OptimizerKernels,
                     GradientKernels,
                     RegularizerKernels,
                     DropoutKernels,
                     GaussianNoiseKernels,
                     GatherKernels,
                     TransformImagesKernels,
                     MergeKernels,
                     TransposeKernels,
                     Upsampling2dKernels,
                     PeakKernels {
  const char* name;
};

// Defined by each object of kernels/isa.cpp.
namespace baseline {
const KernelTable* kernel_table();
}
namespace avx2 {
const KernelTable* kernel_table();
}
namespace avx512 {
const KernelTable* kernel_table();
}
namespace neon {
const KernelTable* kernel_table();
}

}  // namespace convkit
