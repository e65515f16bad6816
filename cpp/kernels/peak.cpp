#include "peak.h"

#include "topics.h"

namespace convkit::CONVKIT_ISA {

PeakKernels peak_kernels() noexcept {
  return {
      .peak_flops = 2 * kPeakChains * kLanes,
      .multiply_add_peak = multiply_add_peak,
  };
}

}  // namespace convkit::CONVKIT_ISA
