// Each topic's part of the table. <topic>.cpp is compiled once per instruction set, with that set's
// flags and CONVKIT_ISA as its name, and this is all of it that has external linkage.
// noexcept: or putting the table together would refer to the C++ library's weak symbols.
#pragma once

#include "../dispatch/kernel_table.h"

namespace convkit::CONVKIT_ISA {

Conv2dKernels conv2d_kernels() noexcept;
DepthwiseKernels depthwise_kernels() noexcept;
WinogradKernels winograd_kernels() noexcept;
WinogradWeightsKernels winograd_weights_kernels() noexcept;
Pool2dKernels pool2d_kernels() noexcept;
BatchnormKernels batchnorm_kernels() noexcept;
LayernormKernels layernorm_kernels() noexcept;
GroupnormKernels groupnorm_kernels() noexcept;
ActivationKernels activation_kernels() noexcept;
OptimizerKernels optimizer_kernels() noexcept;
GradientKernels gradient_kernels() noexcept;
RegularizerKernels regularizer_kernels() noexcept;
DropoutKernels dropout_kernels() noexcept;
GaussianNoiseKernels gaussian_noise_kernels() noexcept;
GatherKernels gather_kernels() noexcept;
TransformImagesKernels transform_images_kernels() noexcept;
MergeKernels merge_kernels() noexcept;
TransposeKernels transpose_kernels() noexcept;
Upsampling2dKernels upsampling2d_kernels() noexcept;
PeakKernels peak_kernels() noexcept;

}  // namespace convkit::CONVKIT_ISA
