#include "../ops/permute.h"
#include "array.h"
#include "calls.h"

namespace convkit::bindings {
namespace {

void permute(const Floats& x, const Sizes& axes, Floats out) {
  const Sizes shape = shape_of(x);
  if (axes.size() != shape.size() || shape.size() > ops::kMostAxes) {
    throw std::invalid_argument("axes must be one number for each of at most " +
                                std::to_string(ops::kMostAxes) + " axes of x, but are " +
                                std::to_string(axes.size()) + " for " +
                                std::to_string(shape.size()));
  }
  Sizes expected;
  std::vector<bool> seen(shape.size());
  for (const std::int64_t axis : axes) {
    if (axis < 0 || axis >= static_cast<std::int64_t>(shape.size()) || seen[axis])
      throw std::invalid_argument("axes must name each axis of x once, but are " + to_string(axes));
    seen[axis] = true;
    expected.push_back(shape[axis]);
  }
  check_shape("out", out, expected);
  const float* px = x.data();
  float* y = out_data(out);
  if (x.size() == 0) return;
  const ops::Permutation p = ops::permutation(shape, axes);
  run([=] { ops::permute(p, px, y); }, x, out);
}

}  // namespace

void bind_permute(py::handle m) { define(m, "permute(x, axes, out)", permute); }

}  // namespace convkit::bindings
