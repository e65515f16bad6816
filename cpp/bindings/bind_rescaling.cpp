#include "../ops/rescaling.h"
#include "array.h"
#include "calls.h"

namespace convkit::bindings {
namespace {

void rescaling(const Floats& x, const Floats& scale, const std::optional<Floats>& offset,
               Floats out) {
  check_rank("scale", scale, 1);
  check_not_empty("scale", scale);
  if (offset) check_shape("offset", *offset, shape_of(scale));
  check_shape("out", out, shape_of(x));
  const std::int64_t n = x.size(), c = scale.size();
  if (x.ndim() < 1 || x.shape(x.ndim() - 1) != c) {
    throw std::invalid_argument("scale must have one value for each of x's channels, but x " +
                                to_string(shape_of(x)) + " meets " + std::to_string(c));
  }
  const float *px = x.data(), *a = scale.data(), *b = in_data(offset);
  float* y = out_data(out);
  run([=] { ops::rescaling(n, c, px, a, b, y); }, x, scale, offset, out);
}

}  // namespace

void bind_rescaling(py::handle m) { define(m, "rescaling(x, scale, offset, out)", rescaling); }

}  // namespace convkit::bindings
