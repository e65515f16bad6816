#include "concatenate.h"

#include <algorithm>

#include "parallel.h"

namespace convkit::ops {
namespace {

constexpr std::int64_t kElementsPerTask = 1 << 14;
// What several arrays write by turns, in a first-level cache.
constexpr std::int64_t kElementsNear = 1 << 12;

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

void concatenate(const std::vector<RowPart>& parts, std::int64_t rows, std::int64_t whole,
                 float* to) {
  if (parts.size() == 1 || whole > kElementsNear) {
    for (const RowPart& p : parts) copy_rows(p.from, p.width, rows, p.width, to + p.first, whole);
    return;
  }
  const std::int64_t near = kElementsNear / whole;
  parallel_ranges(rows, ceil_div(kElementsPerTask, whole), whole,
                  [&](std::int64_t begin, std::int64_t end) {
                    for (std::int64_t row = begin; row < end; row += near) {
                      const std::int64_t last = std::min(row + near, end);
                      for (const RowPart& p : parts)
                        for (std::int64_t r = row; r < last; ++r)
                          std::copy_n(p.from + r * p.width, p.width, to + r * whole + p.first);
                    }
                  });
}

}  // namespace convkit::ops
