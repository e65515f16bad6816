#include "../ops/activation.h"

#include "../ops/ranks.h"
#include "array.h"
#include "calls.h"

namespace convkit::bindings {
namespace {

void activation_forward(Activation kind, const Floats& x, double slope, double threshold,
                        double max_value, Floats out) {
  check_shape("out", out, shape_of(x));
  const std::int64_t n = x.size();
  const float* px = x.data();
  float* y = out_data(out);
  const ActivationParameters given = activation_parameters(slope, threshold, max_value);
  run([=] { ops::activation_forward(kind, px, y, n, given); }, x, out);
}

void activation_backward(Activation kind, const Floats& dy, const Floats& v, double slope,
                         double threshold, double max_value, Floats out) {
  check_shape("the saved array", v, shape_of(dy));
  check_shape("out", out, shape_of(dy));
  const std::int64_t n = dy.size();
  const float *pdy = dy.data(), *pv = v.data();
  float* dx = out_data(out);
  const ActivationParameters given = activation_parameters(slope, threshold, max_value);
  run([=] { ops::activation_backward(kind, pdy, pv, dx, n, given); }, dy, v, out);
}

void softmax(const Floats& x, Floats out) {
  check_rank("x", x, 2);
  check_not_empty("x", x);
  check_shape("out", out, shape_of(x));
  const std::int64_t rows = x.shape(0), k = x.shape(1);
  const float* px = x.data();
  float* y = out_data(out);
  run([=] { ops::softmax_forward(px, y, rows, k, nullptr, nullptr); }, x, out);
}

void softmax_gradient(const Floats& dy, const Floats& y, Floats out) {
  check_rank("dy", dy, 2);
  check_not_empty("dy", dy);
  check_shape("y", y, shape_of(dy));
  check_shape("out", out, shape_of(dy));
  const std::int64_t rows = dy.shape(0), k = dy.shape(1);
  const float *pdy = dy.data(), *py_ = y.data();
  float* dx = out_data(out);
  run([=] { ops::softmax_backward(pdy, py_, dx, rows, k); }, dy, y, out);
}

void log_softmax(const Floats& x, Floats out) {
  check_rank("x", x, 2);
  check_not_empty("x", x);
  check_shape("out", out, shape_of(x));
  const std::int64_t rows = x.shape(0), k = x.shape(1);
  const float* px = x.data();
  float* y = out_data(out);
  run([=] { ops::log_softmax_forward(px, y, rows, k); }, x, out);
}

void log_softmax_gradient(const Floats& dy, const Floats& y, Floats out) {
  check_rank("dy", dy, 2);
  check_not_empty("dy", dy);
  check_shape("y", y, shape_of(dy));
  check_shape("out", out, shape_of(dy));
  const std::int64_t rows = dy.shape(0), k = dy.shape(1);
  const float *pdy = dy.data(), *py_ = y.data();
  float* dx = out_data(out);
  run([=] { ops::log_softmax_backward(pdy, py_, dx, rows, k); }, dy, y, out);
}

void dropout(const Floats& x, double rate, const Number<std::uint64_t>& seed,
             const Number<std::uint64_t>& step, std::uint64_t offset, bool of_batch, Floats out) {
  if (!(rate >= 0.0 && rate < 1.0))
    throw std::invalid_argument("rate must be in [0, 1), but is " + std::to_string(rate));
  check_shape("seed", seed, {1});
  check_shape("step", step, {1});
  check_shape("out", out, shape_of(x));
  const std::int64_t size = x.size(), n = of_batch && x.ndim() > 0 ? x.shape(0) : 0;
  const float* px = x.data();
  const std::uint64_t *pseed = seed.data(), *pstep = step.data();
  float* y = out_data(out);
  run(
      [=] {
        const std::int64_t first = n > 0 ? ops::first_element(n, size) : 0;
        ops::dropout(px, y, size, first, rate, *pseed, offset + *pstep);
      },
      x, seed, step, out);
}

}  // namespace

void bind_activation(py::handle m) {
  define<Activation>(m, "Activation",
                     {{"relu", Activation::kRelu},
                      {"sigmoid", Activation::kSigmoid},
                      {"tanh", Activation::kTanh},
                      {"gelu", Activation::kGelu},
                      {"gelu_tanh", Activation::kGeluTanh},
                      {"leaky_relu", Activation::kLeakyRelu},
                      {"elu", Activation::kElu},
                      {"bounded_relu", Activation::kBoundedRelu},
                      {"silu", Activation::kSilu},
                      {"selu", Activation::kSelu},
                      {"softplus", Activation::kSoftplus},
                      {"softsign", Activation::kSoftsign},
                      {"hard_sigmoid", Activation::kHardSigmoid},
                      {"hard_silu", Activation::kHardSilu},
                      {"exponential", Activation::kExponential},
                      {"mish", Activation::kMish}});
  define(m, "activation_forward(kind, x, slope, threshold, max_value, out)", activation_forward);
  define(m, "activation_backward(kind, dy, v, slope, threshold, max_value, out)",
         activation_backward);
  define(m, "softmax_forward(x, out)", softmax);
  define(m, "softmax_backward(dy, y, out)", softmax_gradient);
  define(m, "log_softmax_forward(x, out)", log_softmax);
  define(m, "log_softmax_backward(dy, y, out)", log_softmax_gradient);
  define(m, "dropout(x, rate, seed, step, offset, of_batch, out)", dropout);
}

}  // namespace convkit::bindings
