#include "../ops/conv2d_batchnorm.h"

#include "array.h"
#include "calls.h"

namespace convkit::bindings {
namespace {

// The output's shape, pooled where there are indices.
Sizes output_shape(const ConvShape& s, bool pooled) {
  return pooled ? pooled_shape(s) : Sizes{s.n, s.oh, s.ow, s.oc};
}

// A residual, or its gradient, is added behind the normalisation, where no pool is.
void check_residual(const char* name, const std::optional<Floats>& residual, const ConvShape& s,
                    bool pooled) {
  if (!residual) return;
  if (pooled)
    throw std::invalid_argument(std::string(name) + " goes with no pool: what is added to the " +
                                "normalised output is not pooled here");
  check_shape(name, *residual, {s.n, s.oh, s.ow, s.oc});
}

void check_activation(const Epilogue& activation, bool pooled) {
  if (pooled && activation.apart())
    throw std::invalid_argument("only ReLU goes between the normalisation and the pool");
}

void check_vectors(const ConvShape& s,
                   std::initializer_list<std::pair<const char*, const Floats*>> vectors) {
  for (const auto& [name, vector] : vectors) check_shape(name, *vector, {s.oc});
}

void conv2d_batchnorm_forward(const Floats& x, const Floats& w, const std::optional<Floats>& b,
                              const Floats& gamma, const Floats& beta, Floats moving_mean,
                              Floats moving_variance, const Pair& strides, const Pads& pads,
                              const Pair& dilation, std::int64_t groups, bool direct,
                              double momentum, double epsilon,
                              const std::optional<Floats>& residual, const Epilogue& activation,
                              Floats z, Floats mean, Floats rstd, Floats out,
                              std::optional<Indices> indices) {
  const ConvShape s = conv_shape(shape_of(x), shape_of(w), strides, pads, dilation, groups, direct);
  if (b) check_shape("b", *b, {s.oc});
  check_vectors(s, {{"gamma", &gamma},
                    {"beta", &beta},
                    {"moving_mean", &moving_mean},
                    {"moving_variance", &moving_variance},
                    {"mean", &mean},
                    {"rstd", &rstd}});
  check_shape("z", z, {s.n, s.oh, s.ow, s.oc});
  check_not_empty("z", z);
  check_activation(activation, indices.has_value());
  check_residual("residual", residual, s, indices.has_value());
  check_shape("out", out, output_shape(s, indices.has_value()));
  if (indices) check_shape("indices", *indices, output_shape(s, true));
  const float *px = x.data(), *pw = w.data(), *pb = in_data(b);
  const float *pg = gamma.data(), *pbeta = beta.data(), *added = in_data(residual);
  float *mm = out_data(moving_mean), *mv = out_data(moving_variance);
  float *pz = out_data(z), *pm = out_data(mean), *pr = out_data(rstd), *y = out_data(out);
  std::uint8_t* where = indices ? indices->mutable_data() : nullptr;
  run(
      [=] {
        ops::conv2d_batchnorm_forward(s, px, pw, pb, pg, pbeta, mm, mv, momentum, epsilon, added,
                                      activation, pz, pm, pr, y, where);
      },
      x, w, b, gamma, beta, moving_mean, moving_variance, residual, z, mean, rstd, out, indices);
}

void conv2d_batchnorm_inference(const Floats& x, const Floats& w, const std::optional<Floats>& b,
                                const Floats& gamma, const Floats& beta, const Floats& moving_mean,
                                const Floats& moving_variance, const Pair& strides,
                                const Pads& pads, const Pair& dilation, std::int64_t groups,
                                bool direct, double epsilon, const std::optional<Floats>& residual,
                                const Epilogue& activation, Floats out,
                                std::optional<Indices> indices) {
  const ConvShape s = conv_shape(shape_of(x), shape_of(w), strides, pads, dilation, groups, direct);
  if (b) check_shape("b", *b, {s.oc});
  check_vectors(s, {{"gamma", &gamma},
                    {"beta", &beta},
                    {"moving_mean", &moving_mean},
                    {"moving_variance", &moving_variance}});
  check_activation(activation, indices.has_value());
  check_residual("residual", residual, s, indices.has_value());
  check_shape("out", out, output_shape(s, indices.has_value()));
  if (indices) check_shape("indices", *indices, output_shape(s, true));
  const float *px = x.data(), *pw = w.data(), *pb = in_data(b);
  const float *pg = gamma.data(), *pbeta = beta.data(), *added = in_data(residual);
  const float *mm = moving_mean.data(), *mv = moving_variance.data();
  float* y = out_data(out);
  std::uint8_t* where = indices ? indices->mutable_data() : nullptr;
  run_convolution(
      s,
      [=](const ConvShape& s) {
        ops::conv2d_batchnorm_inference(s, px, pw, pb, pg, pbeta, mm, mv, epsilon, added,
                                        activation, y, where);
      },
      x, w, b, gamma, beta, moving_mean, moving_variance, residual, out, indices);
}

void conv2d_batchnorm_backward(const Floats& x, const Floats& w, const Floats& z,
                               const Floats& gamma, const Floats& beta, const Floats& mean,
                               const Floats& rstd, const Floats& dy, const std::optional<Floats>& y,
                               const std::optional<Indices>& indices, const Pair& strides,
                               const Pads& pads, const Pair& dilation, std::int64_t groups,
                               bool direct, const Epilogue& activation,
                               std::optional<Floats> dresidual, bool add_to_dx,
                               std::optional<Floats> dx, std::optional<Floats> dw,
                               std::optional<Floats> db, Floats dgamma, Floats dbeta) {
  const ConvShape s = conv_shape(shape_of(x), shape_of(w), strides, pads, dilation, groups, direct);
  const Sizes shape = output_shape(s, indices.has_value());
  check_vectors(s, {{"gamma", &gamma},
                    {"beta", &beta},
                    {"mean", &mean},
                    {"rstd", &rstd},
                    {"dgamma", &dgamma},
                    {"dbeta", &dbeta}});
  check_shape("z", z, {s.n, s.oh, s.ow, s.oc});
  check_not_empty("z", z);
  check_shape("dy", dy, shape);
  check_residual("dresidual", dresidual, s, indices.has_value());
  check_activation(activation, indices.has_value());
  const bool masked = indices || (dresidual && !activation.apart());
  if (masked != y.has_value() || (dresidual && activation.none) ||
      (activation.apart() && !dresidual)) {
    throw std::invalid_argument(
        "y comes together with indices, from a forward pass with a pool, or with dresidual, from "
        "one with a residual and ReLU; an activation other than ReLU needs dresidual alone");
  }
  if (y) check_shape("y", *y, shape);
  if (indices) check_pool_indices(s, *indices);
  check_gradients(x, w, dx, dw, db);
  const float *px = x.data(), *pw = w.data(), *pdy = dy.data(), *py_ = in_data(y);
  const std::uint8_t* where = indices ? indices->data() : nullptr;
  const ops::BatchNorm norm{z.data(),    gamma.data(), beta.data(),
                            mean.data(), rstd.data(),  activation};
  float *pdx = out_data(dx), *pdw = out_data(dw), *pdb = out_data(db);
  float *pdg = out_data(dgamma), *pdbeta = out_data(dbeta), *pdr = out_data(dresidual);
  run(
      [=] {
        ops::conv2d_batchnorm_backward(s, px, pw, norm, pdy, py_, where, pdr, add_to_dx, pdx, pdw,
                                       pdb, pdg, pdbeta);
      },
      x, w, z, gamma, beta, mean, rstd, dy, y, indices, dresidual, dx, dw, db, dgamma, dbeta);
}

}  // namespace

void bind_conv2d_batchnorm(py::handle m) {
  define(
      m,
      "conv2d_batchnorm_forward(x, w, b, gamma, beta, moving_mean, moving_variance, strides, pads, "
      "dilation, groups, direct, momentum, epsilon, residual, activation, z, mean, rstd, out, "
      "indices)",
      conv2d_batchnorm_forward);
  define(m,
         "conv2d_batchnorm_inference(x, w, b, gamma, beta, moving_mean, moving_variance, strides, "
         "pads, dilation, groups, direct, epsilon, residual, activation, out, indices)",
         conv2d_batchnorm_inference);
  define(m,
         "conv2d_batchnorm_backward(x, w, z, gamma, beta, mean, rstd, dy, y, indices, strides, "
         "pads, dilation, groups, direct, activation, dresidual, add_to_dx, dx, dw, db, dgamma, "
         "dbeta)",
         conv2d_batchnorm_backward);
}

}  // namespace convkit::bindings
