#include "../ops/extent.h"
#include "../ops/upsampling2d.h"
#include "array.h"
#include "calls.h"

namespace convkit::bindings {
namespace {

// The geometry of images and of what they become; both are NumPy's, so that no product of their
// sizes overflows.
ops::UpsamplingShape upsampling_shape(const char* name, const Floats& images, const Floats& larger,
                                      const Pair& size, bool bilinear) {
  check_rank(name, images, 4);
  check_not_empty(name, images);
  check_size(name, images.size());
  for (const std::int64_t factor : size) check_range("size", factor, 1);
  const std::int64_t n = images.shape(0), h = images.shape(1), w = images.shape(2);
  const std::int64_t c = images.shape(3);
  check_shape("the upsampled array", larger,
              {n, ops::product(h, size[0]), ops::product(w, size[1]), c});
  check_size("the upsampled array", larger.size());
  return {n, h, w, c, size[0], size[1], bilinear};
}

void upsampling2d_forward(const Floats& x, const Pair& size, bool bilinear, Floats out) {
  const ops::UpsamplingShape s = upsampling_shape("x", x, out, size, bilinear);
  const float* px = x.data();
  float* y = out_data(out);
  run([=] { ops::upsampling2d_forward(s, px, y); }, x, out);
}

void upsampling2d_backward(const Floats& dy, const Pair& size, bool bilinear, Floats out) {
  const ops::UpsamplingShape s = upsampling_shape("out", out, dy, size, bilinear);
  const float* pdy = dy.data();
  float* dx = out_data(out);
  run([=] { ops::upsampling2d_backward(s, pdy, dx); }, dy, out);
}

}  // namespace

void bind_upsampling2d(py::handle m) {
  define(m, "upsampling2d_forward(x, size, bilinear, out)", upsampling2d_forward);
  define(m, "upsampling2d_backward(dy, size, bilinear, out)", upsampling2d_backward);
}

}  // namespace convkit::bindings
