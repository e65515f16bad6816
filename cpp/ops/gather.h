// A batch's rows from a data set.
#pragma once

#include <cstdint>

namespace convkit::ops {

// out[i] = source[indices[i]] * scale, for n rows of `size` bytes or floats.
void gather(std::int64_t n, std::int64_t size, const std::uint8_t* source,
            const std::int64_t* indices, float scale, float* out);
void gather(std::int64_t n, std::int64_t size, const float* source, const std::int64_t* indices,
            float scale, float* out);

}  // namespace convkit::ops
