// Rows of floats from an array into a part of a larger one's rows, and back.
#pragma once

#include <cstdint>
#include <vector>

namespace convkit::ops {

// rows of `width` floats, at `from` every from_ld floats, to `to`, every to_ld.
void copy_rows(const float* from, std::int64_t from_ld, std::int64_t rows, std::int64_t width,
               float* to, std::int64_t to_ld);

// Rows of `width` floats that become the columns from `first` on of a larger array's rows.
struct RowPart {
  const float* from;
  std::int64_t width, first;
};
// All of them, a few rows at a time, so that a line of the larger array's memory is written once.
void concatenate(const std::vector<RowPart>& parts, std::int64_t rows, std::int64_t whole,
                 float* to);

}  // namespace convkit::ops
