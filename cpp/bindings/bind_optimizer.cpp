#include "../ops/optimizer.h"
#include "array.h"
#include "calls.h"

namespace convkit::bindings {
namespace {

void adam(Floats w, const Floats& g, Floats m, Floats v, const Number<double>& learning_rate,
          double beta_1, double beta_2, double epsilon, const Number<std::int64_t>& step,
          double weight_decay) {
  check_shape("g", g, shape_of(w));
  check_shape("m", m, shape_of(w));
  check_shape("v", v, shape_of(w));
  check_shape("learning_rate", learning_rate, {1});
  check_shape("step", step, {1});
  const std::int64_t n = w.size(), *pstep = step.data();
  const double* rate = learning_rate.data();
  const float* pg = g.data();
  float *pw = out_data(w), *pm = out_data(m), *pv = out_data(v);
  run(
      [=] {
        ops::adam_update(n, pw, pg, pm, pv, *rate, beta_1, beta_2, epsilon, *pstep, weight_decay);
      },
      w, g, m, v, learning_rate, step);
}

void sgd(Floats w, const Floats& g, std::optional<Floats> velocity,
         const Number<double>& learning_rate, double momentum, bool nesterov, double weight_decay) {
  check_shape("g", g, shape_of(w));
  if (velocity) check_shape("velocity", *velocity, shape_of(w));
  check_shape("learning_rate", learning_rate, {1});
  const std::int64_t n = w.size();
  const double* rate = learning_rate.data();
  const float* pg = g.data();
  float *pw = out_data(w), *pv = out_data(velocity);
  run([=] { ops::sgd_update(n, pw, pg, pv, *rate, momentum, nesterov, weight_decay); }, w, g,
      velocity, learning_rate);
}

void rmsprop(Floats w, const Floats& g, Floats v, std::optional<Floats> momentum_buffer,
             const Number<double>& learning_rate, double rho, double momentum, double epsilon,
             double weight_decay) {
  check_shape("g", g, shape_of(w));
  check_shape("v", v, shape_of(w));
  if (momentum_buffer) check_shape("momentum_buffer", *momentum_buffer, shape_of(w));
  check_shape("learning_rate", learning_rate, {1});
  const std::int64_t n = w.size();
  const double* rate = learning_rate.data();
  const float* pg = g.data();
  float *pw = out_data(w), *pv = out_data(v), *pm = out_data(momentum_buffer);
  run([=] { ops::rmsprop_update(n, pw, pg, pv, pm, *rate, rho, momentum, epsilon, weight_decay); },
      w, g, v, momentum_buffer, learning_rate);
}

// Both counters go one further, or none: whatever interrupts Python finds no place in between.
void count_step(Number<std::uint64_t> step, Number<std::int64_t> iterations) {
  check_shape("step", step, {1});
  check_shape("iterations", iterations, {1});
  std::uint64_t* pstep = step.mutable_data();
  std::int64_t* piterations = iterations.mutable_data();
  run([=] { ++*pstep, ++*piterations; }, step, iterations);
}

// Captured with the calls that change them.
void weights_changed() {
  run([] { ops::weights_changed(); });
}

}  // namespace

void bind_optimizer(py::module_& m) {
  m.def("adam_update", &adam, py::arg("w").noconvert(), py::arg("g").noconvert(),
        py::arg("m").noconvert(), py::arg("v").noconvert(), py::arg("learning_rate").noconvert(),
        py::arg("beta_1"), py::arg("beta_2"), py::arg("epsilon"), py::arg("step").noconvert(),
        py::arg("weight_decay"));
  m.def("weights_changed", &weights_changed);
  m.def("count_step", &count_step, py::arg("step").noconvert(), py::arg("iterations").noconvert());
  m.def("sgd_update", &sgd, py::arg("w").noconvert(), py::arg("g").noconvert(),
        py::arg("velocity").noconvert(), py::arg("learning_rate").noconvert(), py::arg("momentum"),
        py::arg("nesterov"), py::arg("weight_decay"));
  m.def("rmsprop_update", &rmsprop, py::arg("w").noconvert(), py::arg("g").noconvert(),
        py::arg("v").noconvert(), py::arg("momentum_buffer").noconvert(),
        py::arg("learning_rate").noconvert(), py::arg("rho"), py::arg("momentum"),
        py::arg("epsilon"), py::arg("weight_decay"));
}

}  // namespace convkit::bindings
