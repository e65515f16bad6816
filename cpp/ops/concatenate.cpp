#include "concatenate.h"

#include <algorithm>

#include "parallel.h"

namespace convkit::ops {
namespace {

constexpr std::int64_t kElementsPerTask = 1 << 14;

}  // namespace

void copy_rows(const float* from, std::int64_t from_ld, std::int64_t rows, std::int64_t width,
               float* to, std::int64_t to_ld) {
  if (from == to && from_ld == to_ld) return;
  parallel_ranges(rows * width, kElementsPerTask, 1, [&](std::int64_t begin, std::int64_t end) {
    while (begin < end) {
      const std::int64_t row = begin / width, column = begin % width;
      const std::int64_t count = std::min(width - column, end - begin);
      std::copy_n(from + row * from_ld + column, count, to + row * to_ld + column);
      begin += count;
    }
  });
}

}  // namespace convkit::ops
