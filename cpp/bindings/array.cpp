#include "array.h"

#include <pybind11/numpy.h>

#include <algorithm>
#include <stdexcept>

#include "../ops/extent.h"

namespace convkit::bindings {
namespace {

py::array borrowed(const Array& a) { return py::reinterpret_borrow<py::array>(py::object(a)); }

void check_sizes(const char* name, const Array& a, const std::int64_t* expected,
                 std::size_t count) {
  const Sizes shape = shape_of(a);
  if (std::equal(shape.begin(), shape.end(), expected, expected + count)) return;
  throw std::invalid_argument(std::string(name) + " must have shape " +
                              to_string(Sizes(expected, expected + count)) + ", but its shape is " +
                              to_string(shape));
}

}  // namespace

std::int64_t Array::ndim() const { return borrowed(*this).ndim(); }
std::int64_t Array::shape(std::int64_t axis) const { return borrowed(*this).shape(axis); }
std::int64_t Array::size() const { return borrowed(*this).size(); }
std::string Array::dtype() const { return py::str(borrowed(*this).dtype()); }
bool Array::is_contiguous() const { return borrowed(*this).flags() & py::array::c_style; }
const void* Array::memory() const { return borrowed(*this).data(); }
void* Array::mutable_memory() { return borrowed(*this).mutable_data(); }

template <class T>
bool Array::holds() const {
  return py::isinstance<py::array_t<T>>(py::object(*this));
}

Sizes shape_of(const Array& a) {
  const py::array array = borrowed(a);
  return Sizes(array.shape(), array.shape() + array.ndim());
}

std::string to_string(const Sizes& shape) {
  std::string text = "(";
  for (std::size_t i = 0; i < shape.size(); ++i) text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + (shape.size() == 1 ? ",)" : ")");
}

void check_rank(const char* name, const Array& a, std::int64_t rank) {
  if (a.ndim() == rank) return;
  throw std::invalid_argument(std::string(name) + " must have " + std::to_string(rank) +
                              " dimensions, but its shape is " + to_string(shape_of(a)));
}

void check_shape(const char* name, const Array& a, const Sizes& expected) {
  check_sizes(name, a, expected.data(), expected.size());
}

void check_shape(const char* name, const Array& a, std::initializer_list<std::int64_t> expected) {
  check_sizes(name, a, expected.begin(), expected.size());
}

void check_not_empty(const char* name, const Array& a) {
  if (a.size() > 0) return;
  throw std::invalid_argument(std::string(name) + " must not be empty, but its shape is " +
                              to_string(shape_of(a)));
}

void check_range(const char* name, std::int64_t value, std::int64_t low, std::int64_t high) {
  if (value >= low && value <= high) return;
  throw std::invalid_argument(std::string(name) + " must be between " + std::to_string(low) +
                              " and " + std::to_string(high) + ", but is " + std::to_string(value));
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

// Arrays are never converted.
template <>
Array Argument<Array>::read(PyObject* const& given) {
  if (!py::isinstance<py::array>(given)) throw Mismatch(given);
  return Array(given);
}
template <>
std::string Argument<Array>::type() {
  return "numpy.ndarray";
}
template struct Argument<Array>;

ActivationParameters activation_parameters(double slope, double threshold, double max_value) {
  return {static_cast<float>(slope), static_cast<float>(threshold), static_cast<float>(max_value)};
}

Epilogue Argument<Epilogue>::read(PyObject* const& given) {
  if (given == Py_None) return {};
  if (!PyTuple_CheckExact(given) || PyTuple_GET_SIZE(given) != 4) throw Mismatch(given);
  double numbers[3];
  for (int i = 0; i < 3; ++i) {
    PyObject* number = PyTuple_GET_ITEM(given, i + 1);
    if (!PyFloat_CheckExact(number)) throw Mismatch(given);
    numbers[i] = PyFloat_AS_DOUBLE(number);
  }
  PyObject* kind = PyTuple_GET_ITEM(given, 0);
  if (!py::isinstance(kind, enumeration<Activation>)) throw Mismatch(given);
  return {false, Argument<Activation>::read(kind),
          activation_parameters(numbers[0], numbers[1], numbers[2])};
}
std::string Argument<Epilogue>::type() {
  return "tuple[" + Argument<Activation>::type() + ", float, float, float] | None";
}

template <class T>
bool is_array_of(py::handle value) {
  return py::isinstance<py::array_t<T, py::array::c_style>>(value);
}
template bool is_array_of<float>(py::handle value);

template <class T>
ArrayOf<T> Argument<ArrayOf<T>>::read(PyObject* const& given) {
  if (!is_array_of<T>(given)) throw Mismatch(given);
  return ArrayOf<T>(given);
}
template <class T>
std::string Argument<ArrayOf<T>>::type() {
  return "numpy.typing.NDArray[numpy." + std::string(py::str(py::dtype::of<T>())) + "]";
}

Arrays Argument<Arrays>::read(PyObject* const& given) {
  if (!PyList_Check(given)) throw Mismatch(given);
  Arrays arrays;
  arrays.kept = py::reinterpret_borrow<py::list>(given);
  for (const py::handle array : arrays.kept) {
    if (!is_array_of<float>(array)) throw Mismatch(given);
    arrays.emplace_back(array.ptr());
  }
  return arrays;
}
std::string Argument<Arrays>::type() { return "list[" + Argument<Floats>::type() + "]"; }

template struct Argument<ArrayOf<float>>;
template struct Argument<ArrayOf<double>>;
template struct Argument<ArrayOf<std::uint8_t>>;
template struct Argument<ArrayOf<std::int32_t>>;
template struct Argument<ArrayOf<std::int64_t>>;
template struct Argument<ArrayOf<std::uint64_t>>;
template bool Array::holds<float>() const;
template bool Array::holds<std::uint8_t>() const;
template bool Array::holds<std::int32_t>() const;
template bool Array::holds<std::int64_t>() const;

}  // namespace convkit::bindings
