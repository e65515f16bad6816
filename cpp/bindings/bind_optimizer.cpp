#include "../ops/muon.h"
#include "../ops/optimizer.h"
#include "array.h"
#include "calls.h"

namespace convkit::bindings {
namespace {

using Rate = Number<double>;
using Step = Number<std::int64_t>;

// What every update is given: the gradient has w's shape, and there is one learning rate.
void check(const Floats& w, const Floats& g, const Rate& learning_rate) {
  check_shape("g", g, shape_of(w));
  check_shape("learning_rate", learning_rate, {1});
}

void adam(Floats w, const Floats& g, Floats m, Floats v, std::optional<Floats> peak,
          const Rate& learning_rate, double beta_1, double beta_2, double epsilon, const Step& step,
          double weight_decay) {
  check(w, g, learning_rate);
  check_shape("m", m, shape_of(w));
  check_shape("v", v, shape_of(w));
  if (peak) check_shape("peak", *peak, shape_of(w));
  check_shape("step", step, {1});
  const std::int64_t n = w.size(), *pstep = step.data();
  const double* rate = learning_rate.data();
  const float* pg = g.data();
  float *pw = out_data(w), *pm = out_data(m), *pv = out_data(v), *ppeak = out_data(peak);
  run(
      [=] {
        ops::adam_update(n, pw, pg, pm, pv, ppeak, *rate, beta_1, beta_2, epsilon, *pstep,
                         weight_decay);
      },
      w, g, m, v, peak, learning_rate, step);
}

void sgd(Floats w, const Floats& g, std::optional<Floats> velocity, const Rate& learning_rate,
         double momentum, bool nesterov, double weight_decay) {
  check(w, g, learning_rate);
  if (velocity) check_shape("velocity", *velocity, shape_of(w));
  const std::int64_t n = w.size();
  const double* rate = learning_rate.data();
  const float* pg = g.data();
  float *pw = out_data(w), *pv = out_data(velocity);
  run([=] { ops::sgd_update(n, pw, pg, pv, *rate, momentum, nesterov, weight_decay); }, w, g,
      velocity, learning_rate);
}

void rmsprop(Floats w, const Floats& g, Floats v, std::optional<Floats> momentum_buffer,
             std::optional<Floats> mean, const Rate& learning_rate, double rho, double momentum,
             double epsilon, double weight_decay) {
  check(w, g, learning_rate);
  check_shape("v", v, shape_of(w));
  if (momentum_buffer) check_shape("momentum_buffer", *momentum_buffer, shape_of(w));
  if (mean) check_shape("mean", *mean, shape_of(w));
  const std::int64_t n = w.size();
  const double* rate = learning_rate.data();
  const float* pg = g.data();
  float *pw = out_data(w), *pv = out_data(v);
  float *pm = out_data(momentum_buffer), *pmean = out_data(mean);
  run(
      [=] {
        ops::rmsprop_update(n, pw, pg, pv, pm, pmean, *rate, rho, momentum, epsilon, weight_decay);
      },
      w, g, v, momentum_buffer, mean, learning_rate);
}

void adagrad(Floats w, const Floats& g, Floats accumulator, const Rate& learning_rate,
             double epsilon, double weight_decay) {
  check(w, g, learning_rate);
  check_shape("accumulator", accumulator, shape_of(w));
  const std::int64_t n = w.size();
  const double* rate = learning_rate.data();
  const float* pg = g.data();
  float *pw = out_data(w), *psum = out_data(accumulator);
  run([=] { ops::adagrad_update(n, pw, pg, psum, *rate, epsilon, weight_decay); }, w, g,
      accumulator, learning_rate);
}

void adadelta(Floats w, const Floats& g, Floats v, Floats u, const Rate& learning_rate, double rho,
              double epsilon, double weight_decay) {
  check(w, g, learning_rate);
  check_shape("v", v, shape_of(w));
  check_shape("u", u, shape_of(w));
  const std::int64_t n = w.size();
  const double* rate = learning_rate.data();
  const float* pg = g.data();
  float *pw = out_data(w), *pv = out_data(v), *pu = out_data(u);
  run([=] { ops::adadelta_update(n, pw, pg, pv, pu, *rate, rho, epsilon, weight_decay); }, w, g, v,
      u, learning_rate);
}

// Adamax and Nadam take the same.
using Update = void (*)(std::int64_t n, float* w, const float* g, float* m, float* v,
                        double learning_rate, double beta_1, double beta_2, double epsilon,
                        std::int64_t step, double weight_decay);

template <Update update>
void moments(Floats w, const Floats& g, Floats m, Floats v, const Rate& learning_rate,
             double beta_1, double beta_2, double epsilon, const Step& step, double weight_decay) {
  check(w, g, learning_rate);
  check_shape("m", m, shape_of(w));
  check_shape("v", v, shape_of(w));
  check_shape("step", step, {1});
  const std::int64_t n = w.size(), *pstep = step.data();
  const double* rate = learning_rate.data();
  const float* pg = g.data();
  float *pw = out_data(w), *pm = out_data(m), *pv = out_data(v);
  run([=] { update(n, pw, pg, pm, pv, *rate, beta_1, beta_2, epsilon, *pstep, weight_decay); }, w,
      g, m, v, learning_rate, step);
}

void lion(Floats w, const Floats& g, Floats m, const Rate& learning_rate, double beta_1,
          double beta_2, double weight_decay) {
  check(w, g, learning_rate);
  check_shape("m", m, shape_of(w));
  const std::int64_t n = w.size();
  const double* rate = learning_rate.data();
  const float* pg = g.data();
  float *pw = out_data(w), *pm = out_data(m);
  run([=] { ops::lion_update(n, pw, pg, pm, *rate, beta_1, beta_2, weight_decay); }, w, g, m,
      learning_rate);
}

void ftrl(Floats w, const Floats& g, Floats accumulator, Floats linear, const Rate& learning_rate,
          double power, double l1, double l2, double shrinkage, double beta, double weight_decay) {
  check(w, g, learning_rate);
  check_shape("accumulator", accumulator, shape_of(w));
  check_shape("linear", linear, shape_of(w));
  const std::int64_t n = w.size();
  const double* rate = learning_rate.data();
  const float* pg = g.data();
  float *pw = out_data(w), *psum = out_data(accumulator), *plinear = out_data(linear);
  const ops::FtrlOptions given = {power, l1, l2, shrinkage, beta};
  run([=] { ops::ftrl_update(n, pw, pg, psum, plinear, *rate, given, weight_decay); }, w, g,
      accumulator, linear, learning_rate);
}

void muon(Floats w, const Floats& g, Floats m, const Rate& learning_rate, double momentum,
          bool nesterov, std::int64_t rounds, double a, double b, double c, double scale,
          double weight_decay) {
  check(w, g, learning_rate);
  check_rank("w", w, 2);
  check_shape("m", m, shape_of(w));
  check_range("rounds", rounds, 0, 1000);
  const std::int64_t rows = w.shape(0), columns = w.shape(1);
  const double* rate = learning_rate.data();
  const float* pg = g.data();
  float *pw = out_data(w), *pm = out_data(m);
  const ops::MuonNumbers given = {momentum, a, b, c, scale, rounds, nesterov};
  run([=] { ops::muon_update(rows, columns, pw, pg, pm, *rate, given, weight_decay); }, w, g, m,
      learning_rate);
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

void bind_optimizer(py::handle m) {
  define(
      m,
      "adam_update(w, g, m, v, peak, learning_rate, beta_1, beta_2, epsilon, step, weight_decay)",
      adam);
  define(m, "weights_changed()", weights_changed);
  define(m, "count_step(step, iterations)", count_step);
  define(m, "sgd_update(w, g, velocity, learning_rate, momentum, nesterov, weight_decay)", sgd);
  define(m,
         "rmsprop_update(w, g, v, momentum_buffer, mean, learning_rate, rho, momentum, epsilon, "
         "weight_decay)",
         rmsprop);
  define(m, "adagrad_update(w, g, accumulator, learning_rate, epsilon, weight_decay)", adagrad);
  define(m, "adadelta_update(w, g, v, u, learning_rate, rho, epsilon, weight_decay)", adadelta);
  define(m, "adamax_update(w, g, m, u, learning_rate, beta_1, beta_2, epsilon, step, weight_decay)",
         moments<ops::adamax_update>);
  define(m, "nadam_update(w, g, m, v, learning_rate, beta_1, beta_2, epsilon, step, weight_decay)",
         moments<ops::nadam_update>);
  define(m, "lion_update(w, g, m, learning_rate, beta_1, beta_2, weight_decay)", lion);
  define(m,
         "ftrl_update(w, g, accumulator, linear, learning_rate, power, l1, l2, shrinkage, beta, "
         "weight_decay)",
         ftrl);
  define(m,
         "muon_update(w, g, m, learning_rate, momentum, nesterov, rounds, a, b, c, scale, "
         "weight_decay)",
         muon);
}

}  // namespace convkit::bindings
