#include "../ops/conv2d_max_pool2d.h"

#include "array.h"
#include "calls.h"

namespace convkit::bindings {
namespace {

void conv2d_max_pool2d_forward(const Floats& x, const Floats& w, const std::optional<Floats>& b,
                               const Pair& strides, const Pads& pads, const Pair& dilation,
                               std::int64_t groups, bool direct, bool relu, Floats out,
                               Indices indices) {
  const ConvShape s = conv_shape(shape_of(x), shape_of(w), strides, pads, dilation, groups, direct);
  if (b) check_shape("b", *b, {s.oc});
  check_shape("out", out, pooled_shape(s));
  check_shape("indices", indices, pooled_shape(s));
  const float *px = x.data(), *pw = w.data(), *pb = in_data(b);
  float* y = out_data(out);
  std::uint8_t* where = indices.mutable_data();
  run_convolution(
      s, [=](const ConvShape& s) { ops::conv2d_max_pool2d_forward(s, px, pw, pb, relu, y, where); },
      x, w, b, out, indices);
}

void conv2d_max_pool2d_backward(const Floats& x, const Floats& w, const Floats& y,
                                const Indices& indices, const Floats& dy, const Pair& strides,
                                const Pads& pads, const Pair& dilation, std::int64_t groups,
                                bool direct, bool relu, std::optional<Floats> dx,
                                std::optional<Floats> dw, std::optional<Floats> db) {
  const ConvShape s = conv_shape(shape_of(x), shape_of(w), strides, pads, dilation, groups, direct);
  const Sizes pooled = pooled_shape(s);
  check_shape("y", y, pooled);
  check_pool_indices(s, indices);
  check_shape("dy", dy, pooled);
  check_gradients(x, w, dx, dw, db);
  const std::uint8_t* where = indices.data();
  const float *px = x.data(), *pw = w.data(), *py_ = y.data(), *pdy = dy.data();
  float *pdx = out_data(dx), *pdw = out_data(dw), *pdb = out_data(db);
  run([=] { ops::conv2d_max_pool2d_backward(s, px, pw, py_, where, pdy, relu, pdx, pdw, pdb); }, x,
      w, y, indices, dy, dx, dw, db);
}

}  // namespace

void bind_conv2d_max_pool2d(py::handle m) {
  define(m,
         "conv2d_max_pool2d_forward(x, w, b, strides, pads, dilation, groups, direct, relu, out, "
         "indices)",
         conv2d_max_pool2d_forward);
  define(m,
         "conv2d_max_pool2d_backward(x, w, y, indices, dy, strides, pads, dilation, groups, "
         "direct, relu, dx, dw, db)",
         conv2d_max_pool2d_backward);
}

}  // namespace convkit::bindings
