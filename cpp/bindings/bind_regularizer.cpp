#include "../ops/regularizer.h"
#include "array.h"
#include "gil.h"

namespace convkit::bindings {
namespace {

double regularize(const Floats& w, std::optional<Floats> g, double l1, double l2) {
  if (g) check_shape("g", *g, shape_of(w));
  const std::int64_t n = w.size();
  const float* pw = w.data();
  float* pg = out_data(g);
  return without_gil([=] { return ops::regularize(n, pw, pg, l1, l2); });
}

}  // namespace

void bind_regularizer(py::handle m) { define(m, "regularize(w, g, l1, l2)", regularize); }

}  // namespace convkit::bindings
