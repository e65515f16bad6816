#include "array.h"

#include <limits>
#include <stdexcept>

#include "../ops/extent.h"

namespace convkit::bindings {

Sizes shape_of(const py::array& a) { return Sizes(a.shape(), a.shape() + a.ndim()); }

std::string to_string(const Sizes& shape) {
  std::string text = "(";
  for (std::size_t i = 0; i < shape.size(); ++i) text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + (shape.size() == 1 ? ",)" : ")");
}

void check_rank(const char* name, const py::array& a, std::int64_t rank) {
  if (a.ndim() == rank) return;
  throw std::invalid_argument(std::string(name) + " must have " + std::to_string(rank) +
                              " dimensions, but its shape is " + to_string(shape_of(a)));
}

void check_shape(const char* name, const py::array& a, const Sizes& expected) {
  if (shape_of(a) == expected) return;
  throw std::invalid_argument(std::string(name) + " must have shape " + to_string(expected) +
                              ", but its shape is " + to_string(shape_of(a)));
}

void check_not_empty(const char* name, const py::array& a) {
  if (a.size() > 0) return;
  throw std::invalid_argument(std::string(name) + " must not be empty, but its shape is " +
                              to_string(shape_of(a)));
}

void check_range(const char* name, std::int64_t value, std::int64_t low) {
  constexpr std::int64_t kHigh = std::numeric_limits<std::int32_t>::max();
  if (value >= low && value <= kHigh) return;
  throw std::invalid_argument(std::string(name) + " must be between " + std::to_string(low) +
                              " and " + std::to_string(kHigh) + ", but is " +
                              std::to_string(value));
}

void check_size(const char* name, std::int64_t count) {
  if (count < ops::kMostFloats) return;
  throw std::invalid_argument(std::string(name) + " must have fewer than 2^55 elements, but has " +
                              (count < ops::kLargest ? std::to_string(count) : "2^63 or more"));
}

std::int64_t output_size(const char* axis, std::int64_t size, std::int64_t kernel,
                         std::int64_t stride, std::int64_t dilation, std::int64_t pad_before,
                         std::int64_t pad_after) {
  check_range("kernel size", kernel, 1);
  check_range("stride", stride, 1);
  check_range("dilation", dilation, 1);
  check_range("padding", pad_before, 0);
  check_range("padding", pad_after, 0);
  // All below 2^31 but the image's size, which check_size() was asked about: nothing here
  // overflows.
  const std::int64_t window = (kernel - 1) * dilation + 1;
  const std::int64_t padded = size + pad_before + pad_after;
  if (window > padded) {
    throw std::invalid_argument(std::string("a window of ") + std::to_string(window) + " " + axis +
                                " does not fit the padded input of " + std::to_string(padded));
  }
  return (padded - window) / stride + 1;
}

}  // namespace convkit::bindings
