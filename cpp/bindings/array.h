// What every binding does with its arrays: borrow, check, give pointers. Arrays arrive as NumPy
// made them (float32, C order; pybind11 raises a TypeError for anything else) and are never copied.
// Errors are thrown before the GIL is released and before any thread starts.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "../shapes.h"

namespace convkit::bindings {

namespace py = pybind11;

using Floats = py::array_t<float, py::array::c_style>;
using Indices = py::array_t<std::uint8_t, py::array::c_style>;
using Labels = py::array_t<std::int64_t, py::array::c_style>;
// One number, shape (1,), that a call reads when it is made, so that it need not be the same in a
// repetition.
template <class T>
using Number = py::array_t<T, py::array::c_style>;
using Sizes = std::vector<std::int64_t>;
using Pair = std::array<std::int64_t, 2>;
using Pads = std::array<std::int64_t, 4>;  // top, bottom, left, right

Sizes shape_of(const py::array& a);
std::string to_string(const Sizes& shape);

// Each throws std::invalid_argument (ValueError) that names the array, what was expected and what
// was received.
void check_rank(const char* name, const py::array& a, std::int64_t rank);
void check_shape(const char* name, const py::array& a, const Sizes& expected);
// Every size at least 1.
void check_not_empty(const char* name, const py::array& a);
// low <= value <= 2^31 - 1.
void check_range(const char* name, std::int64_t value, std::int64_t low);
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

void bind_runtime(py::module_& m);
void bind_calls(py::module_& m);
void bind_model_lock(py::module_& m);
void bind_conv2d(py::module_& m);
void bind_conv2d_batchnorm(py::module_& m);
void bind_conv2d_max_pool2d(py::module_& m);
void bind_dense(py::module_& m);
void bind_pool2d(py::module_& m);
void bind_prelu(py::module_& m);
void bind_batchnorm(py::module_& m);
void bind_layernorm(py::module_& m);
void bind_groupnorm(py::module_& m);
void bind_activation(py::module_& m);
void bind_loss(py::module_& m);
void bind_optimizer(py::module_& m);
void bind_gradient(py::module_& m);
void bind_regularizer(py::module_& m);
void bind_gather(py::module_& m);
void bind_transform_images(py::module_& m);
void bind_rescaling(py::module_& m);
void bind_upsampling2d(py::module_& m);
void bind_permute(py::module_& m);
void bind_constraint(py::module_& m);
void bind_noise(py::module_& m);
void bind_zero_padding2d(py::module_& m);
void bind_merge(py::module_& m);
void bind_concatenate(py::module_& m);

}  // namespace convkit::bindings
