// What every binding does with its arrays: borrow, check, give pointers. Arrays arrive as NumPy
// made them (float32, C order; a TypeError for anything else) and are never copied.
// Errors are thrown before the GIL is released and before any thread starts.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "../shapes.h"
#include "function.h"

namespace convkit::bindings {

namespace py = pybind11;

// A NumPy array of any type and order that a caller lends for the time of a call.
class Array {
 public:
  explicit Array(PyObject* lent) : lent_(lent) {}
  std::int64_t ndim() const;
  std::int64_t shape(std::int64_t axis) const;
  std::int64_t size() const;
  std::string dtype() const;
  bool is_contiguous() const;  // in C order
  template <class T>
  bool holds() const;
  const void* memory() const;
  void* mutable_memory();  // throws when the array is read-only
  operator py::object() const { return py::reinterpret_borrow<py::object>(lent_); }

 private:
  PyObject* lent_;
};

// One of T in C order.
template <class T>
class ArrayOf : public Array {
 public:
  using Array::Array;
  const T* data() const { return static_cast<const T*>(memory()); }
  T* mutable_data() { return static_cast<T*>(mutable_memory()); }
};

template <class T>
bool is_array_of(py::handle value);

template <class T>
struct Argument<ArrayOf<T>> {
  static ArrayOf<T> read(PyObject* const& given);
  static std::string type();
};

// None, or (kind, slope, threshold, max_value).
template <>
struct Argument<Epilogue> {
  static Epilogue read(PyObject* const& given);
  static std::string type();
};
ActivationParameters activation_parameters(double slope, double threshold, double max_value);

using Floats = ArrayOf<float>;
// Those of a list, kept whatever becomes of it meanwhile.
struct Arrays : std::vector<Floats> {
  py::tuple kept;
};
template <>
struct Argument<Arrays> {
  static Arrays read(PyObject* const& given);
  static std::string type();
};
// A captured call outlives this one, and what it needs here is more than pointers and numbers.
template <class T, class... Arguments>
std::pair<const T*, py::capsule> owned(Arguments&&... arguments) {
  auto made = std::make_unique<T>(std::forward<Arguments>(arguments)...);
  py::capsule owner(made.get(), [](void* value) { delete static_cast<T*>(value); });
  return {made.release(), owner};
}
using Indices = ArrayOf<std::uint8_t>;
using Labels = ArrayOf<std::int64_t>;
// One number, shape (1,), that a call reads when it is made, so that it need not be the same in a
// repetition.
template <class T>
using Number = ArrayOf<T>;
using Sizes = std::vector<std::int64_t>;
using Pair = std::array<std::int64_t, 2>;
using Pads = std::array<std::int64_t, 4>;  // top, bottom, left, right

Sizes shape_of(const Array& a);
std::string to_string(const Sizes& shape);

// Each throws std::invalid_argument (ValueError) that names the array, what was expected and what
// was received.
void check_rank(const char* name, const Array& a, std::int64_t rank);
void check_shape(const char* name, const Array& a, const Sizes& expected);
void check_shape(const char* name, const Array& a, std::initializer_list<std::int64_t> expected);
// Every size at least 1.
void check_not_empty(const char* name, const Array& a);
// low <= value <= high.
void check_range(const char* name, std::int64_t value, std::int64_t low,
                 std::int64_t high = std::numeric_limits<std::int32_t>::max());
// As many numbers as an array can have; `count` is a product() of sizes.
void check_size(const char* name, std::int64_t count);

// The number of output positions along one axis; throws when the window does not fit.
std::int64_t output_size(const char* axis, std::int64_t size, std::int64_t kernel,
                         std::int64_t stride, std::int64_t dilation, std::int64_t pad_before,
                         std::int64_t pad_after);

// The problem of a convolution of x (N, H, W, C) with w (KH, KW, C / groups, OC), checked: no
// offset of a position overflows, in the arrays or in the padding around them.
ConvShape conv_shape(const Sizes& x, const Sizes& w, const Pair& strides, const Pads& pads,
                     const Pair& dilation, std::int64_t groups, bool direct);
// (N, OH / 2, OW / 2, OC), the shape behind a 2 x 2 pool; throws when no window fits.
Sizes pooled_shape(const ConvShape& s);
// Of that shape, and positions of a window.
void check_pool_indices(const ConvShape& s, const Indices& indices);
// Those of a convolution's gradients that are wanted.
void check_gradients(const Floats& x, const Floats& w, const std::optional<Floats>& dx,
                     const std::optional<Floats>& dw, const std::optional<Floats>& db);

// A writable pointer; throws when the array is read-only.
inline float* out_data(Floats& a) { return a.mutable_data(); }
inline float* out_data(std::optional<Floats>& a) { return a ? a->mutable_data() : nullptr; }
inline const float* in_data(const std::optional<Floats>& a) { return a ? a->data() : nullptr; }

}  // namespace convkit::bindings
