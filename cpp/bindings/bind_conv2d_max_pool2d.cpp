#include "../ops/conv2d_max_pool2d.h"

#include "array.h"

namespace convkit::bindings {
namespace {

using Indices = py::array_t<std::uint8_t, py::array::c_style>;

void forward(const Floats& x, const Floats& w, const std::optional<Floats>& b, const Pair& strides,
             const Pads& pads, const Pair& dilation, std::int64_t groups, bool relu, Floats out,
             Indices indices) {
  const ConvShape s = conv_shape(shape_of(x), shape_of(w), strides, pads, dilation, groups);
  if (b) check_shape("b", *b, {s.oc});
  check_shape("out", out, pooled_shape(s));
  check_shape("indices", indices, pooled_shape(s));
  const float *px = x.data(), *pw = w.data(), *pb = in_data(b);
  float* y = out_data(out);
  std::uint8_t* where = indices.mutable_data();
  py::gil_scoped_release nogil;
  ops::conv2d_max_pool2d_forward(s, px, pw, pb, relu, y, where);
}

void backward(const Floats& x, const Floats& w, const Floats& y, const Indices& indices,
              const Floats& dy, const Pair& strides, const Pads& pads, const Pair& dilation,
              std::int64_t groups, bool relu, std::optional<Floats> dx, std::optional<Floats> dw,
              std::optional<Floats> db) {
  const ConvShape s = conv_shape(shape_of(x), shape_of(w), strides, pads, dilation, groups);
  const Sizes pooled = pooled_shape(s);
  check_shape("y", y, pooled);
  check_shape("indices", indices, pooled);
  check_shape("dy", dy, pooled);
  if (dx) check_shape("dx", *dx, shape_of(x));
  if (dw) check_shape("dw", *dw, shape_of(w));
  if (db) check_shape("db", *db, {s.oc});
  const std::uint8_t* where = indices.data();
  if (!ops::conv2d_max_pool2d_indices_valid(s, where))
    throw std::invalid_argument("indices must be in [0, 4), the positions of a 2 x 2 window");
  const float *px = x.data(), *pw = w.data(), *py_ = y.data(), *pdy = dy.data();
  float *pdx = out_data(dx), *pdw = out_data(dw), *pdb = out_data(db);
  py::gil_scoped_release nogil;
  ops::conv2d_max_pool2d_backward(s, px, pw, py_, where, pdy, relu, pdx, pdw, pdb);
}

}  // namespace

void bind_conv2d_max_pool2d(py::module_& m) {
  m.def("conv2d_max_pool2d_forward", &forward, py::arg("x").noconvert(), py::arg("w").noconvert(),
        py::arg("b").noconvert(), py::arg("strides"), py::arg("pads"), py::arg("dilation"),
        py::arg("groups"), py::arg("relu"), py::arg("out").noconvert(),
        py::arg("indices").noconvert());
  m.def("conv2d_max_pool2d_backward", &backward, py::arg("x").noconvert(), py::arg("w").noconvert(),
        py::arg("y").noconvert(), py::arg("indices").noconvert(), py::arg("dy").noconvert(),
        py::arg("strides"), py::arg("pads"), py::arg("dilation"), py::arg("groups"),
        py::arg("relu"), py::arg("dx").noconvert(), py::arg("dw").noconvert(),
        py::arg("db").noconvert());
}

}  // namespace convkit::bindings
