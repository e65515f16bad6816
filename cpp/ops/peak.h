// The machine's own bound, for benchmarks.
#pragma once

#include <cstdint>

namespace convkit::ops {

// Runs independent multiply-adds in registers on every thread, `rounds` on each, and returns the
// floating-point operations done (a multiply-add counts as two).
double multiply_add_peak(std::int64_t rounds);

}  // namespace convkit::ops
