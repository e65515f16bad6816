#include "../ops/layernorm.h"

#include "array.h"
#include "calls.h"

namespace convkit::bindings {
namespace {

void layernorm_forward(const Floats& x, const std::optional<Floats>& gamma,
                       const std::optional<Floats>& beta, double epsilon, Floats out, Floats mean,
                       Floats rstd) {
  check_rank("x", x, 2);
  check_not_empty("x", x);
  const std::int64_t rows = x.shape(0), k = x.shape(1);
  if (gamma) check_shape("gamma", *gamma, {k});
  if (beta) check_shape("beta", *beta, {k});
  check_shape("out", out, shape_of(x));
  check_shape("mean", mean, {rows});
  check_shape("rstd", rstd, {rows});
  const float *px = x.data(), *pg = in_data(gamma), *pb = in_data(beta);
  float *y = out_data(out), *pm = out_data(mean), *pr = out_data(rstd);
  run([=] { ops::layernorm_forward(rows, k, px, pg, pb, epsilon, y, pm, pr); }, x, gamma, beta, out,
      mean, rstd);
}

void layernorm_backward(const Floats& dy, const Floats& x, const std::optional<Floats>& gamma,
                        const Floats& mean, const Floats& rstd, std::optional<Floats> dx,
                        std::optional<Floats> dgamma, std::optional<Floats> dbeta) {
  check_rank("x", x, 2);
  check_not_empty("x", x);
  const std::int64_t rows = x.shape(0), k = x.shape(1);
  check_shape("dy", dy, shape_of(x));
  check_shape("mean", mean, {rows});
  check_shape("rstd", rstd, {rows});
  if (gamma) check_shape("gamma", *gamma, {k});
  if (dx) check_shape("dx", *dx, shape_of(x));
  if (dgamma) check_shape("dgamma", *dgamma, {k});
  if (dbeta) check_shape("dbeta", *dbeta, {k});
  const float *pdy = dy.data(), *px = x.data(), *pg = in_data(gamma);
  const float *pm = mean.data(), *pr = rstd.data();
  float *pdx = out_data(dx), *dg = out_data(dgamma), *db = out_data(dbeta);
  run([=] { ops::layernorm_backward(rows, k, pdy, px, pg, pm, pr, pdx, dg, db); }, dy, x, gamma,
      mean, rstd, dx, dgamma, dbeta);
}

}  // namespace

void bind_layernorm(py::handle m) {
  define(m, "layernorm_forward(x, gamma, beta, epsilon, out, mean, rstd)", layernorm_forward);
  define(m, "layernorm_backward(dy, x, gamma, mean, rstd, dx, dgamma, dbeta)", layernorm_backward);
}

}  // namespace convkit::bindings
