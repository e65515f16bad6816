#include "transform_images.h"

#include "color.h"
#include "topics.h"

namespace convkit::CONVKIT_ISA {

TransformImagesKernels transform_images_kernels() noexcept {
  return {
      .affine_transform_bytes = affine_transform_bytes,
      .affine_transform_floats = affine_transform_floats,
      .resample_bytes = resample_bytes,
      .resample_floats = resample_floats,
      .scale_image = scale_image,
      .channel_means = channel_means,
      .make_gray = make_gray,
      .change_colors = change_colors,
      .bounded_noise = bounded_noise,
      .uniform = uniform,
  };
}

}  // namespace convkit::CONVKIT_ISA
