#include "../ops/pool2d.h"
#include "array.h"
#include "calls.h"

namespace convkit::bindings {
namespace {

PoolShape pool_shape(const Array& x, const Pair& pool_size, const Pair& strides, const Pads& pads) {
  check_rank("the input", x, 4);
  check_not_empty("the input", x);
  PoolShape s = {};
  check_size("the input", x.size());
  s.n = x.shape(0), s.h = x.shape(1), s.w = x.shape(2), s.c = x.shape(3);
  s.kh = pool_size[0], s.kw = pool_size[1];
  s.stride_h = strides[0], s.stride_w = strides[1];
  s.pad_top = pads[0], s.pad_left = pads[2];
  s.oh = output_size("rows", s.h, s.kh, s.stride_h, 1, pads[0], pads[1]);
  s.ow = output_size("columns", s.w, s.kw, s.stride_w, 1, pads[2], pads[3]);
  // Every window must hold at least one position of the image.
  if (std::max(pads[0], pads[1]) >= s.kh || std::max(pads[2], pads[3]) >= s.kw)
    throw std::invalid_argument("pooling padding must be smaller than the window");
  if (s.kh * s.kw > INT32_MAX) throw std::invalid_argument("the pooling window is too large");
  return s;
}

Sizes output_shape(const PoolShape& s) { return {s.n, s.oh, s.ow, s.c}; }

// Whether the indices are int32, as a window of more than 256 positions needs.
bool check_indices(const PoolShape& s, const Array& indices) {
  const bool wide = s.kh * s.kw > 256;
  const bool same_type = wide ? indices.holds<std::int32_t>() : indices.holds<std::uint8_t>();
  if (!same_type) {
    throw py::type_error(std::string("indices must be ") + (wide ? "int32" : "uint8") +
                         " for this window, but are " + indices.dtype());
  }
  if (!indices.is_contiguous()) throw py::type_error("indices must be contiguous in C order");
  check_shape("indices", indices, output_shape(s));
  return wide;
}

void max_forward(const Floats& x, const Pair& pool_size, const Pair& strides, const Pads& pads,
                 Floats out, Array indices) {
  const PoolShape s = pool_shape(x, pool_size, strides, pads);
  check_shape("out", out, output_shape(s));
  const bool wide = check_indices(s, indices);
  const float* px = x.data();
  float* y = out_data(out);
  void* where = indices.mutable_memory();
  run([=] { ops::max_pool2d_forward(s, px, y, where, wide); }, x, out, indices);
}

void max_backward(const Floats& dy, const Array& indices, const Pair& pool_size,
                  const Pair& strides, const Pads& pads, Floats out) {
  const PoolShape s = pool_shape(out, pool_size, strides, pads);
  check_shape("dy", dy, output_shape(s));
  const bool wide = check_indices(s, indices);
  const void* where = indices.memory();
  if (!ops::max_pool2d_indices_valid(s, where, wide)) {
    throw std::invalid_argument(
        "indices hold a position outside its window or in the padding; pass the indices that the "
        "forward pass returned for the same shapes");
  }
  const float* pdy = dy.data();
  float* dx = out_data(out);
  run([=] { ops::max_pool2d_backward(s, pdy, where, wide, dx); }, dy, indices, out);
}

void average_forward(const Floats& x, const Pair& pool_size, const Pair& strides, const Pads& pads,
                     Floats out) {
  const PoolShape s = pool_shape(x, pool_size, strides, pads);
  check_shape("out", out, output_shape(s));
  const float* px = x.data();
  float* y = out_data(out);
  run([=] { ops::average_pool2d_forward(s, px, y); }, x, out);
}

void average_backward(const Floats& dy, const Pair& pool_size, const Pair& strides,
                      const Pads& pads, Floats out) {
  const PoolShape s = pool_shape(out, pool_size, strides, pads);
  check_shape("dy", dy, output_shape(s));
  const float* pdy = dy.data();
  float* dx = out_data(out);
  run([=] { ops::average_pool2d_backward(s, pdy, dx); }, dy, out);
}

}  // namespace

void bind_pool2d(py::handle m) {
  define(m, "max_pool2d_forward(x, pool_size, strides, pads, out, indices)", max_forward);
  define(m, "max_pool2d_backward(dy, indices, pool_size, strides, pads, out)", max_backward);
  define(m, "average_pool2d_forward(x, pool_size, strides, pads, out)", average_forward);
  define(m, "average_pool2d_backward(dy, pool_size, strides, pads, out)", average_backward);
}

}  // namespace convkit::bindings
