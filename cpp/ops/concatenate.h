// Rows of floats from an array into a part of a larger one's rows, and back.
#pragma once

#include <cstdint>

namespace convkit::ops {

// rows of `width` floats, at `from` every from_ld floats, to `to`, every to_ld.
void copy_rows(const float* from, std::int64_t from_ld, std::int64_t rows, std::int64_t width,
               float* to, std::int64_t to_ld);

}  // namespace convkit::ops
