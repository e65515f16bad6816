#include "../ops/activation.h"

#include <pybind11/native_enum.h>

#include <cmath>

#include "array.h"
#include "calls.h"

namespace convkit::bindings {
namespace {

ActivationParameters parameters(double slope, double threshold, double max_value) {
  return {static_cast<float>(slope), static_cast<float>(threshold), static_cast<float>(max_value)};
}

void activation_forward(Activation kind, const Floats& x, double slope, double threshold,
                        double max_value, Floats out) {
  check_shape("out", out, shape_of(x));
  const std::int64_t n = x.size();
  const float* px = x.data();
  float* y = out_data(out);
  const ActivationParameters given = parameters(slope, threshold, max_value);
  run([=] { ops::activation_forward(kind, px, y, n, given); }, x, out);
}

void activation_backward(Activation kind, const Floats& dy, const Floats& v, double slope,
                         double threshold, double max_value, Floats out) {
  check_shape("the saved array", v, shape_of(dy));
  check_shape("out", out, shape_of(dy));
  const std::int64_t n = dy.size();
  const float *pdy = dy.data(), *pv = v.data();
  float* dx = out_data(out);
  const ActivationParameters given = parameters(slope, threshold, max_value);
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
             const Number<std::uint64_t>& step, std::uint64_t offset, Floats out) {
  if (!(rate >= 0.0 && rate < 1.0))
    throw std::invalid_argument("rate must be in [0, 1), but is " + std::to_string(rate));
  check_shape("seed", seed, {1});
  check_shape("step", step, {1});
  check_shape("out", out, shape_of(x));
  const std::int64_t n = x.size();
  const float* px = x.data();
  const std::uint64_t *pseed = seed.data(), *pstep = step.data();
  float* y = out_data(out);
  run([=] { ops::dropout(px, y, n, rate, *pseed, offset + *pstep); }, x, seed, step, out);
}

}  // namespace

void bind_activation(py::module_& m) {
  py::native_enum<Activation>(m, "Activation", "enum.Enum")
      .value("relu", Activation::kRelu)
      .value("sigmoid", Activation::kSigmoid)
      .value("tanh", Activation::kTanh)
      .value("gelu", Activation::kGelu)
      .value("gelu_tanh", Activation::kGeluTanh)
      .value("leaky_relu", Activation::kLeakyRelu)
      .value("elu", Activation::kElu)
      .value("bounded_relu", Activation::kBoundedRelu)
      .value("silu", Activation::kSilu)
      .value("selu", Activation::kSelu)
      .value("softplus", Activation::kSoftplus)
      .value("softsign", Activation::kSoftsign)
      .value("hard_sigmoid", Activation::kHardSigmoid)
      .value("hard_silu", Activation::kHardSilu)
      .value("exponential", Activation::kExponential)
      .value("mish", Activation::kMish)
      .finalize();
  m.def("activation_forward", &activation_forward, py::arg("kind"), py::arg("x").noconvert(),
        py::arg("slope"), py::arg("threshold"), py::arg("max_value"), py::arg("out").noconvert());
  m.def("activation_backward", &activation_backward, py::arg("kind"), py::arg("dy").noconvert(),
        py::arg("v").noconvert(), py::arg("slope"), py::arg("threshold"), py::arg("max_value"),
        py::arg("out").noconvert());
  m.def("softmax_forward", &softmax, py::arg("x").noconvert(), py::arg("out").noconvert());
  m.def("softmax_backward", &softmax_gradient, py::arg("dy").noconvert(), py::arg("y").noconvert(),
        py::arg("out").noconvert());
  m.def("log_softmax_forward", &log_softmax, py::arg("x").noconvert(), py::arg("out").noconvert());
  m.def("log_softmax_backward", &log_softmax_gradient, py::arg("dy").noconvert(),
        py::arg("y").noconvert(), py::arg("out").noconvert());
  m.def("dropout", &dropout, py::arg("x").noconvert(), py::arg("rate"), py::arg("seed").noconvert(),
        py::arg("step").noconvert(), py::arg("offset"), py::arg("out").noconvert());
}

}  // namespace convkit::bindings
