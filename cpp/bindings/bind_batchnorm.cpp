#include "../ops/batchnorm.h"
#include "array.h"
#include "calls.h"

namespace convkit::bindings {
namespace {

// x is (rows, C); every vector has one value a channel.
void check_vectors(const Array& x,
                   std::initializer_list<std::pair<const char*, const Floats*>> vectors) {
  check_rank("x", x, 2);
  check_not_empty("x", x);
  for (const auto& [name, vector] : vectors) check_shape(name, *vector, {x.shape(1)});
}

// Of rows that are `images` with as many each.
void check_images(std::int64_t images, const Array& x) {
  if (images < 1 || x.shape(0) % images != 0)
    throw std::invalid_argument("images must divide the rows of x, but is " +
                                std::to_string(images));
}

void batchnorm_forward(const Floats& x, std::int64_t images, const Floats& gamma,
                       const Floats& beta, Floats moving_mean, Floats moving_variance,
                       double momentum, double epsilon, const Epilogue& activation, Floats out,
                       Floats mean, Floats rstd) {
  check_vectors(x, {{"gamma", &gamma},
                    {"beta", &beta},
                    {"moving_mean", &moving_mean},
                    {"moving_variance", &moving_variance},
                    {"mean", &mean},
                    {"rstd", &rstd}});
  check_images(images, x);
  check_shape("out", out, shape_of(x));
  const std::int64_t rows = x.shape(0) / images, c = x.shape(1);
  const float *px = x.data(), *pg = gamma.data(), *pb = beta.data();
  float *mm = out_data(moving_mean), *mv = out_data(moving_variance);
  float *y = out_data(out), *pm = out_data(mean), *pr = out_data(rstd);
  run(
      [=] {
        ops::batchnorm_forward(images, rows, c, px, pg, pb, mm, mv, momentum, epsilon, activation,
                               y, pm, pr);
      },
      x, gamma, beta, moving_mean, moving_variance, out, mean, rstd);
}

void batchnorm_inference(const Floats& x, const Floats& gamma, const Floats& beta,
                         const Floats& moving_mean, const Floats& moving_variance, double epsilon,
                         const Epilogue& activation, Floats out) {
  check_vectors(x, {{"gamma", &gamma},
                    {"beta", &beta},
                    {"moving_mean", &moving_mean},
                    {"moving_variance", &moving_variance}});
  check_shape("out", out, shape_of(x));
  const std::int64_t rows = x.shape(0), c = x.shape(1);
  const float *px = x.data(), *pg = gamma.data(), *pb = beta.data();
  const float *mm = moving_mean.data(), *mv = moving_variance.data();
  float* y = out_data(out);
  run([=] { ops::batchnorm_inference(rows, c, px, pg, pb, mm, mv, epsilon, activation, y); }, x,
      gamma, beta, moving_mean, moving_variance, out);
}

void batchnorm_apply(const Floats& x, const Floats& gamma, const Floats& beta, const Floats& mean,
                     const Floats& rstd, const Epilogue& activation, Floats out) {
  check_vectors(x, {{"gamma", &gamma}, {"beta", &beta}, {"mean", &mean}, {"rstd", &rstd}});
  check_shape("out", out, shape_of(x));
  const std::int64_t rows = x.shape(0), c = x.shape(1);
  const ops::BatchNorm norm{x.data(),    gamma.data(), beta.data(),
                            mean.data(), rstd.data(),  activation};
  float* y = out_data(out);
  run([=] { ops::batchnorm_apply(rows, norm, c, y); }, x, gamma, beta, mean, rstd, out);
}

void batchnorm_backward(const Floats& dy, const Floats& x, std::int64_t images, const Floats& gamma,
                        const Floats& beta, const Floats& mean, const Floats& rstd,
                        const Epilogue& activation, bool add_to_dx, Floats out, Floats dgamma,
                        Floats dbeta) {
  check_vectors(x, {{"gamma", &gamma},
                    {"beta", &beta},
                    {"mean", &mean},
                    {"rstd", &rstd},
                    {"dgamma", &dgamma},
                    {"dbeta", &dbeta}});
  check_images(images, x);
  check_shape("dy", dy, shape_of(x));
  check_shape("out", out, shape_of(x));
  const std::int64_t rows = x.shape(0) / images, c = x.shape(1);
  const float *pdy = dy.data(), *px = x.data(), *pg = gamma.data(), *pb = beta.data();
  const float *pm = mean.data(), *pr = rstd.data();
  float *dx = out_data(out), *dg = out_data(dgamma), *db = out_data(dbeta);
  run(
      [=] {
        ops::batchnorm_backward(images, rows, {px, pg, pb, pm, pr, activation}, c, pdy, add_to_dx,
                                dx, dg, db);
      },
      dy, x, gamma, beta, mean, rstd, out, dgamma, dbeta);
}

}  // namespace

void bind_batchnorm(py::handle m) {
  define(m,
         "batchnorm_forward(x, images, gamma, beta, moving_mean, moving_variance, momentum, "
         "epsilon, activation, "
         "out, mean, rstd)",
         batchnorm_forward);
  define(
      m,
      "batchnorm_inference(x, gamma, beta, moving_mean, moving_variance, epsilon, activation, out)",
      batchnorm_inference);
  define(m, "batchnorm_apply(x, gamma, beta, mean, rstd, activation, out)", batchnorm_apply);
  define(m,
         "batchnorm_backward(dy, x, images, gamma, beta, mean, rstd, activation, add_to_dx, out, "
         "dgamma, dbeta)",
         batchnorm_backward);
}

}  // namespace convkit::bindings
