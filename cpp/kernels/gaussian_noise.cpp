#include "gaussian_noise.h"

#include "topics.h"

namespace convkit::CONVKIT_ISA {

GaussianNoiseKernels gaussian_noise_kernels() noexcept {
  return {
      .gaussian_noise = gaussian_noise,
  };
}

}  // namespace convkit::CONVKIT_ISA
