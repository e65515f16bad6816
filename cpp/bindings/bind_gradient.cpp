#include "../ops/gradient.h"
#include "array.h"
#include "calls.h"

namespace convkit::bindings {
namespace {

void clip_by_value(Floats g, double limit) {
  const std::int64_t n = g.size();
  float* pg = out_data(g);
  run([=] { ops::clip_by_value(n, pg, limit); }, g);
}

// Adds to `squares` what the sum of g's squares is, or begins it.
void sum_of_squares(const Floats& g, Number<double> squares, bool add) {
  check_shape("squares", squares, {1});
  const std::int64_t n = g.size();
  const float* pg = g.data();
  double* psquares = squares.mutable_data();
  run([=] { *psquares = (add ? *psquares : 0.0) + ops::sum_of_squares(n, pg); }, g, squares);
}

void clip_by_norm(Floats g, const Number<double>& squares, double max_norm) {
  check_shape("squares", squares, {1});
  const std::int64_t n = g.size();
  float* pg = out_data(g);
  const double* psquares = squares.data();
  run([=] { ops::clip_by_norm(n, pg, *psquares, max_norm); }, g, squares);
}

void accumulate(Floats total, const Floats& g, double factor) {
  check_shape("g", g, shape_of(total));
  const std::int64_t n = g.size();
  float* ptotal = out_data(total);
  const float* pg = g.data();
  run([=] { ops::accumulate(n, ptotal, pg, factor); }, total, g);
}

void moving_average(Floats average, Floats w, double momentum, const Number<std::int64_t>& step,
                    std::int64_t overwrite_every) {
  check_shape("w", w, shape_of(average));
  check_shape("step", step, {1});
  check_range("overwrite_every", overwrite_every, 0);
  const std::int64_t n = w.size(), *pstep = step.data();
  float *paverage = out_data(average), *pw = out_data(w);
  run([=] { ops::moving_average(n, paverage, pw, momentum, *pstep, overwrite_every); }, average, w,
      step);
}

void lookahead(Floats slow, Floats w, const Number<double>& step_size,
               const Number<std::int64_t>& step, std::int64_t sync_period) {
  check_shape("w", w, shape_of(slow));
  check_shape("step_size", step_size, {1});
  check_shape("step", step, {1});
  check_range("sync_period", sync_period, 1);
  const std::int64_t n = w.size(), *pstep = step.data();
  const double* psize = step_size.data();
  float *pslow = out_data(slow), *pw = out_data(w);
  run([=] { ops::lookahead(n, pslow, pw, *psize, *pstep, sync_period); }, slow, w, step_size, step);
}

}  // namespace

void bind_gradient(py::handle m) {
  define(m, "clip_by_value(g, limit)", clip_by_value);
  define(m, "sum_of_squares(g, squares, add)", sum_of_squares);
  define(m, "clip_by_norm(g, squares, max_norm)", clip_by_norm);
  define(m, "accumulate(total, g, factor)", accumulate);
  define(m, "moving_average(average, w, momentum, step, overwrite_every)", moving_average);
  define(m, "lookahead(slow, w, step_size, step, sync_period)", lookahead);
}

}  // namespace convkit::bindings
