// Products and sums of sizes that cannot wrap around.
#pragma once

#include <cstdint>
#include <limits>

namespace convkit::ops {

// More floats than 57-bit addresses reach: an array, or the image inside a convolution's padding,
// that is larger is refused. Whatever is computed from those below fits 64 bits if it is less than
// 256 times as large; what can be larger is a product below.
constexpr std::int64_t kMostFloats = std::int64_t{1} << 55;

constexpr std::int64_t kLargest = std::numeric_limits<std::int64_t>::max();

// The product of sizes of at least 0, or kLargest where that is less: for sizes of memory, which
// Scratch refuses then, for estimates of work, and to be compared with a limit.
template <class... Sizes>
constexpr std::int64_t product(std::int64_t first, Sizes... others) {
  [[maybe_unused]] const auto multiply = [&first](std::int64_t factor) {
    if (__builtin_mul_overflow(first, factor, &first)) first = kLargest;
  };
  (multiply(others), ...);
  return first;
}

// The same for a sum.
constexpr std::int64_t sum(std::int64_t a, std::int64_t b) {
  std::int64_t total = 0;
  return __builtin_add_overflow(a, b, &total) ? kLargest : total;
}

}  // namespace convkit::ops
