#include "../ops/constraint.h"
#include "array.h"
#include "calls.h"

namespace convkit::bindings {
namespace {

ops::NormAxes norm_axes(const Floats& w, const Sizes& axes) {
  const std::int64_t rank = w.ndim();
  if (rank > ops::kMostConstrainedAxes) {
    throw std::invalid_argument("w may have at most " + std::to_string(ops::kMostConstrainedAxes) +
                                " axes, but has " + std::to_string(rank));
  }
  std::vector<bool> summed(rank);
  for (const std::int64_t axis : axes) {
    if (axis < 0 || axis >= rank || summed[axis]) {
      throw std::invalid_argument("axis must name axes of w " + to_string(shape_of(w)) +
                                  ", each once, but is " + to_string(axes));
    }
    summed[axis] = true;
  }
  if (axes.empty()) throw std::invalid_argument("axis must name an axis of w");
  ops::NormAxes a = {};
  std::int64_t step = 1;
  std::vector<std::int64_t> steps(rank);
  for (std::int64_t i = rank; i-- > 0; step *= w.shape(i)) steps[i] = step;
  for (std::int64_t i = 0; i < rank; ++i) {
    if (summed[i]) {
      a.summed_size[a.summed] = w.shape(i), a.summed_step[a.summed] = steps[i];
      ++a.summed;
    } else {
      a.kept_size[a.kept] = w.shape(i), a.kept_step[a.kept] = steps[i];
      ++a.kept;
    }
  }
  return a;
}

void constrain_norms(Floats w, const Sizes& axes, double low, double high, double rate) {
  check_not_empty("w", w);
  const ops::NormAxes a = norm_axes(w, axes);
  if (!(low >= 0.0 && low <= high))
    throw std::invalid_argument("norms must be bounded by 0 <= min_norm <= max_norm");
  if (!(rate >= 0.0 && rate <= 1.0)) throw std::invalid_argument("rate must be in [0, 1]");
  float* pw = out_data(w);
  run([=] { ops::constrain_norms(a, {low, high, rate}, pw); }, w);
}

}  // namespace

void bind_constraint(py::handle m) {
  define(m, "constrain_norms(w, axes, min_norm, max_norm, rate)", constrain_norms);
}

}  // namespace convkit::bindings
