#include "../ops/zero_padding2d.h"
#include "array.h"
#include "calls.h"

namespace convkit::bindings {
namespace {

// The geometry of images of that shape inside planes of the other; both are NumPy's, so that no
// product of sizes overflows.
ops::ZeroPadding geometry(const char* name, const Floats& images, const Floats& planes,
                          const Pads& pads) {
  check_rank(name, images, 4);
  check_not_empty(name, images);
  check_size(name, images.size());
  const char* names[] = {"padding at the top", "padding at the bottom", "padding at the left",
                         "padding at the right"};
  for (int i = 0; i < 4; ++i) check_range(names[i], pads[i], 0);
  const std::int64_t height = images.shape(1) + pads[0] + pads[1];
  const std::int64_t width = images.shape(2) + pads[2] + pads[3];
  check_shape("the padded array", planes, {images.shape(0), height, width, images.shape(3)});
  return {images.shape(0), images.shape(1), images.shape(2), images.shape(3),
          height,          width,           pads[0],         pads[2]};
}

void zero_padding2d_forward(const Floats& x, const Pads& pads, Floats out) {
  const ops::ZeroPadding s = geometry("x", x, out, pads);
  const float* px = x.data();
  float* y = out_data(out);
  run([=] { ops::zero_padding2d_forward(s, px, y); }, x, out);
}

void zero_padding2d_backward(const Floats& dy, const Pads& pads, Floats out) {
  const ops::ZeroPadding s = geometry("out", out, dy, pads);
  const float* pdy = dy.data();
  float* dx = out_data(out);
  run([=] { ops::zero_padding2d_backward(s, pdy, dx); }, dy, out);
}

}  // namespace

void bind_zero_padding2d(py::handle m) {
  define(m, "zero_padding2d_forward(x, pads, out)", zero_padding2d_forward);
  define(m, "zero_padding2d_backward(dy, pads, out)", zero_padding2d_backward);
}

}  // namespace convkit::bindings
