// A fixed factor and a fixed offset for every channel.
#pragma once

#include <cstdint>

namespace convkit::ops {

// y = x * scale + offset over n values, c channels innermost; scale and offset are (c), and offset
// may be null.
void rescaling(std::int64_t n, std::int64_t c, const float* x, const float* scale,
               const float* offset, float* y);

}  // namespace convkit::ops
