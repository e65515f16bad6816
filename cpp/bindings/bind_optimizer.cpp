#include "../ops/optimizer.h"
#include "array.h"
#include "calls.h"

namespace convkit::bindings {
namespace {

void adam(Floats w, const Floats& g, Floats m, Floats v, double learning_rate, double beta_1,
          double beta_2, double epsilon, std::int64_t step, double weight_decay) {
  check_shape("g", g, shape_of(w));
  check_shape("m", m, shape_of(w));
  check_shape("v", v, shape_of(w));
  if (step < 1) {
    throw std::invalid_argument("step counts from 1, but is " + std::to_string(step));
  }
  const std::int64_t n = w.size();
  const float* pg = g.data();
  float *pw = out_data(w), *pm = out_data(m), *pv = out_data(v);
  run(
      [=] {
        ops::adam_update(n, pw, pg, pm, pv, learning_rate, beta_1, beta_2, epsilon, step,
                         weight_decay);
      },
      w, g, m, v);
}

void sgd(Floats w, const Floats& g, std::optional<Floats> velocity, double learning_rate,
         double momentum, bool nesterov, double weight_decay) {
  check_shape("g", g, shape_of(w));
  if (velocity) check_shape("velocity", *velocity, shape_of(w));
  const std::int64_t n = w.size();
  const float* pg = g.data();
  float *pw = out_data(w), *pv = out_data(velocity);
  run([=] { ops::sgd_update(n, pw, pg, pv, learning_rate, momentum, nesterov, weight_decay); }, w,
      g, velocity);
}

void rmsprop(Floats w, const Floats& g, Floats v, std::optional<Floats> momentum_buffer,
             double learning_rate, double rho, double momentum, double epsilon,
             double weight_decay) {
  check_shape("g", g, shape_of(w));
  check_shape("v", v, shape_of(w));
  if (momentum_buffer) check_shape("momentum_buffer", *momentum_buffer, shape_of(w));
  const std::int64_t n = w.size();
  const float* pg = g.data();
  float *pw = out_data(w), *pv = out_data(v), *pm = out_data(momentum_buffer);
  run(
      [=] {
        ops::rmsprop_update(n, pw, pg, pv, pm, learning_rate, rho, momentum, epsilon, weight_decay);
      },
      w, g, v, momentum_buffer);
}

}  // namespace

void bind_optimizer(py::module_& m) {
  m.def("adam_update", &adam, py::arg("w").noconvert(), py::arg("g").noconvert(),
        py::arg("m").noconvert(), py::arg("v").noconvert(), py::arg("learning_rate"),
        py::arg("beta_1"), py::arg("beta_2"), py::arg("epsilon"), py::arg("step"),
        py::arg("weight_decay"));
  m.def("sgd_update", &sgd, py::arg("w").noconvert(), py::arg("g").noconvert(),
        py::arg("velocity").noconvert(), py::arg("learning_rate"), py::arg("momentum"),
        py::arg("nesterov"), py::arg("weight_decay"));
  m.def("rmsprop_update", &rmsprop, py::arg("w").noconvert(), py::arg("g").noconvert(),
        py::arg("v").noconvert(), py::arg("momentum_buffer").noconvert(), py::arg("learning_rate"),
        py::arg("rho"), py::arg("momentum"), py::arg("epsilon"), py::arg("weight_decay"));
}

}  // namespace convkit::bindings
