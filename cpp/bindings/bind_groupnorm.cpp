#include "../ops/groupnorm.h"

#include "array.h"
#include "calls.h"

namespace convkit::bindings {
namespace {

// x is (N, rows, C); the statistics are (N, groups).
ops::GroupShape group_shape(const Floats& x, const Floats& mean, const Floats& rstd) {
  check_rank("x", x, 3);
  check_not_empty("x", x);
  check_rank("mean", mean, 2);
  const std::int64_t c = x.shape(2), groups = mean.shape(1);
  check_range("groups", groups, 1);
  if (c % groups != 0) {
    throw std::invalid_argument("groups must divide the " + std::to_string(c) +
                                " channels, but got " + std::to_string(groups));
  }
  check_shape("mean", mean, {x.shape(0), groups});
  check_shape("rstd", rstd, {x.shape(0), groups});
  return {x.shape(0), x.shape(1), c, groups};
}

void groupnorm_forward(const Floats& x, const std::optional<Floats>& gamma,
                       const std::optional<Floats>& beta, double epsilon, Floats out, Floats mean,
                       Floats rstd) {
  const ops::GroupShape s = group_shape(x, mean, rstd);
  if (gamma) check_shape("gamma", *gamma, {s.c});
  if (beta) check_shape("beta", *beta, {s.c});
  check_shape("out", out, shape_of(x));
  const float *px = x.data(), *pg = in_data(gamma), *pb = in_data(beta);
  float *y = out_data(out), *pm = out_data(mean), *pr = out_data(rstd);
  run([=] { ops::groupnorm_forward(s, px, pg, pb, epsilon, y, pm, pr); }, x, gamma, beta, out, mean,
      rstd);
}

void groupnorm_backward(const Floats& dy, const Floats& x, const std::optional<Floats>& gamma,
                        const Floats& mean, const Floats& rstd, std::optional<Floats> dx,
                        std::optional<Floats> dgamma, std::optional<Floats> dbeta) {
  const ops::GroupShape s = group_shape(x, mean, rstd);
  check_shape("dy", dy, shape_of(x));
  if (gamma) check_shape("gamma", *gamma, {s.c});
  if (dx) check_shape("dx", *dx, shape_of(x));
  if (dgamma) check_shape("dgamma", *dgamma, {s.c});
  if (dbeta) check_shape("dbeta", *dbeta, {s.c});
  const float *pdy = dy.data(), *px = x.data(), *pg = in_data(gamma);
  const float *pm = mean.data(), *pr = rstd.data();
  float *pdx = out_data(dx), *dg = out_data(dgamma), *db = out_data(dbeta);
  run([=] { ops::groupnorm_backward(s, pdy, px, pg, pm, pr, pdx, dg, db); }, dy, x, gamma, mean,
      rstd, dx, dgamma, dbeta);
}

void normalization(const Floats& x, const Floats& mean, const Floats& scale, Floats out) {
  check_rank("x", x, 2);
  check_not_empty("x", x);
  const std::int64_t rows = x.shape(0), c = x.shape(1);
  check_shape("mean", mean, {c});
  check_shape("scale", scale, {c});
  check_shape("out", out, shape_of(x));
  const float *px = x.data(), *pm = mean.data(), *ps = scale.data();
  float* y = out_data(out);
  run([=] { ops::centred_scaling(rows, c, px, pm, ps, y); }, x, mean, scale, out);
}

}  // namespace

void bind_groupnorm(py::handle m) {
  define(m, "groupnorm_forward(x, gamma, beta, epsilon, out, mean, rstd)", groupnorm_forward);
  define(m, "groupnorm_backward(dy, x, gamma, mean, rstd, dx, dgamma, dbeta)", groupnorm_backward);
  define(m, "normalization(x, mean, scale, out)", normalization);
}

}  // namespace convkit::bindings
