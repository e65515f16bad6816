#include "peak.h"

#include "../dispatch/cpu.h"
#include "parallel.h"

namespace convkit::ops {

double multiply_add_peak(std::int64_t rounds) {
  const KernelTable& kernel = kernels();
  const int threads = num_threads();
  parallel_for(threads, rounds * kernel.peak_flops, [&](std::int64_t) {
    volatile float used = kernel.multiply_add_peak(rounds);
    (void)used;
  });
  return static_cast<double>(threads) * static_cast<double>(rounds) *
         static_cast<double>(kernel.peak_flops);
}

}  // namespace convkit::ops
