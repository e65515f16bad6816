// The native module: one bind_ function a topic. Python's convkit.ops and convkit.runtime are its
// only users.
#include "array.h"

PYBIND11_MODULE(_core, m) {
  using namespace convkit::bindings;
  m.doc() = "convkit's kernels; use convkit.ops.";
  bind_runtime(m);
  bind_calls(m);
  bind_model_lock(m);
  bind_conv2d(m);
  bind_conv2d_batchnorm(m);
  bind_conv2d_max_pool2d(m);
  bind_dense(m);
  bind_pool2d(m);
  bind_prelu(m);
  bind_batchnorm(m);
  bind_layernorm(m);
  bind_groupnorm(m);
  bind_activation(m);
  bind_loss(m);
  bind_optimizer(m);
  bind_gradient(m);
  bind_regularizer(m);
  bind_gather(m);
  bind_transform_images(m);
  bind_rescaling(m);
  bind_upsampling2d(m);
  bind_permute(m);
  bind_constraint(m);
  bind_noise(m);
  bind_zero_padding2d(m);
  bind_merge(m);
  bind_concatenate(m);
}
