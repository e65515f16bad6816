#include "../ops/prelu.h"
#include "array.h"
#include "calls.h"

namespace convkit::bindings {
namespace {

ops::PreluShape prelu_shape(const char* name, const Floats& x, const Floats& alpha) {
  check_not_empty(name, x);
  const Sizes of_x = shape_of(x), of_alpha = shape_of(alpha);
  bool fits = of_x.size() == of_alpha.size() + 1;
  for (std::size_t i = 0; fits && i < of_alpha.size(); ++i)
    fits = of_alpha[i] == of_x[i + 1] || of_alpha[i] == 1;
  if (!fits) {
    throw std::invalid_argument(
        "alpha must have the sizes of a sample, or 1 where an axis is shared, but " +
        to_string(of_alpha) + " meets " + name + " " + to_string(of_x));
  }
  ops::PreluShape shape;
  if (!ops::prelu_shape(of_x, of_alpha, &shape)) {
    throw std::invalid_argument(
        "alpha may be shared along two runs of neighbouring axes behind the first that is not, but "
        "is " +
        to_string(of_alpha) + " for " + name + " " + to_string(of_x));
  }
  return shape;
}

void prelu_forward(const Floats& x, const Floats& alpha, Floats out) {
  const ops::PreluShape shape = prelu_shape("x", x, alpha);
  check_shape("out", out, shape_of(x));
  const float *px = x.data(), *slopes = alpha.data();
  float* y = out_data(out);
  run([=] { ops::prelu_apply(shape, px, px, slopes, y); }, x, alpha, out);
}

void prelu_backward_input(const Floats& dy, const Floats& x, const Floats& alpha, Floats out) {
  const ops::PreluShape shape = prelu_shape("x", x, alpha);
  check_shape("dy", dy, shape_of(x));
  check_shape("out", out, shape_of(x));
  const float *pdy = dy.data(), *px = x.data(), *slopes = alpha.data();
  float* dx = out_data(out);
  run([=] { ops::prelu_apply(shape, px, pdy, slopes, dx); }, dy, x, alpha, out);
}

void prelu_backward_alpha(const Floats& dy, const Floats& x, Floats out) {
  const ops::PreluShape shape = prelu_shape("x", x, out);
  check_shape("dy", dy, shape_of(x));
  const float *pdy = dy.data(), *px = x.data();
  float* dalpha = out_data(out);
  run([=] { ops::prelu_backward_alpha(shape, pdy, px, dalpha); }, dy, x, out);
}

}  // namespace

void bind_prelu(py::handle m) {
  define(m, "prelu_forward(x, alpha, out)", prelu_forward);
  define(m, "prelu_backward_input(dy, x, alpha, out)", prelu_backward_input);
  define(m, "prelu_backward_alpha(dy, x, out)", prelu_backward_alpha);
}

}  // namespace convkit::bindings
