// The native module: one bind_ function a topic. Python's convkit.ops and convkit.runtime are its
// only users.
#include <pybind11/pybind11.h>

namespace convkit::bindings {

namespace py = pybind11;

void bind_runtime(py::handle m);
void bind_calls(py::module_& m);
void bind_model_lock(py::module_& m);
void bind_conv2d(py::handle m);
void bind_conv2d_batchnorm(py::handle m);
void bind_conv2d_max_pool2d(py::handle m);
void bind_dense(py::handle m);
void bind_pool2d(py::handle m);
void bind_prelu(py::handle m);
void bind_batchnorm(py::handle m);
void bind_layernorm(py::handle m);
void bind_groupnorm(py::handle m);
void bind_activation(py::handle m);
void bind_loss(py::handle m);
void bind_optimizer(py::handle m);
void bind_gradient(py::handle m);
void bind_read_files(py::handle m);
void bind_regularizer(py::handle m);
void bind_gather(py::handle m);
void bind_transform_images(py::handle m);
void bind_rescaling(py::handle m);
void bind_upsampling2d(py::handle m);
void bind_permute(py::handle m);
void bind_constraint(py::handle m);
void bind_noise(py::handle m);
void bind_zero_padding2d(py::handle m);
void bind_merge(py::handle m);
void bind_concatenate(py::handle m);

}  // namespace convkit::bindings

PYBIND11_MODULE(_core, m) {
  using namespace convkit::bindings;
  m.doc() = "convkit's kernels; use convkit.ops.";
  bind_runtime(m);
  bind_calls(m);
  bind_model_lock(m);
  bind_activation(m);  // the names of activations, which others take
  bind_conv2d(m);
  bind_conv2d_batchnorm(m);
  bind_conv2d_max_pool2d(m);
  bind_dense(m);
  bind_pool2d(m);
  bind_prelu(m);
  bind_batchnorm(m);
  bind_layernorm(m);
  bind_groupnorm(m);
  bind_loss(m);
  bind_optimizer(m);
  bind_gradient(m);
  bind_read_files(m);
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
