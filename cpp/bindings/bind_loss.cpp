#include "../ops/loss.h"
#include "array.h"
#include "calls.h"

namespace convkit::bindings {
namespace {

// Class numbers (N) or distributions (N, K), told apart by type.
ops::Targets targets_of(const py::array& y, const py::array& targets) {
  check_rank("the output", y, 2);
  check_not_empty("the output", y);
  const std::int64_t n = y.shape(0), k = y.shape(1);
  if (!(targets.flags() & py::array::c_style))
    throw py::type_error("labels must be contiguous in C order");
  if (py::isinstance<py::array_t<float>>(targets)) {
    check_shape("one-hot labels", targets, {n, k});
    return {nullptr, static_cast<const float*>(targets.data())};
  }
  if (!py::isinstance<py::array_t<std::int64_t>>(targets)) {
    throw py::type_error("labels must be int64 or one-hot float32, but are " +
                         std::string(py::str(targets.dtype())));
  }
  check_shape("labels", targets, {n});
  return {static_cast<const std::int64_t*>(targets.data()), nullptr};
}

void check_results(const Floats& y, const std::optional<Floats>& weights, const Floats& gradient,
                   const Floats& losses) {
  if (weights) check_shape("sample_weight", *weights, {y.shape(0)});
  check_shape("the gradient", gradient, shape_of(y));
  check_shape("losses", losses, {y.shape(0)});
}

void softmax_cross_entropy(const Floats& logits, const py::array& labels,
                           const std::optional<Floats>& weights, Floats probs, Floats dlogits,
                           Floats losses) {
  const ops::Targets targets = targets_of(logits, labels);
  check_results(logits, weights, dlogits, losses);
  check_shape("probs", probs, shape_of(logits));
  const std::int64_t n = logits.shape(0), k = logits.shape(1);
  const float *x = logits.data(), *pw = in_data(weights);
  float *p = out_data(probs), *d = out_data(dlogits), *l = out_data(losses);
  run([=] { ops::softmax_cross_entropy(n, k, x, targets, pw, p, d, l); }, logits, labels, weights,
      probs, dlogits, losses);
}

void cross_entropy(const Floats& probs, const py::array& labels,
                   const std::optional<Floats>& weights, Floats dprobs, Floats losses) {
  const ops::Targets targets = targets_of(probs, labels);
  check_results(probs, weights, dprobs, losses);
  const std::int64_t n = probs.shape(0), k = probs.shape(1);
  const float *p = probs.data(), *pw = in_data(weights);
  float *d = out_data(dprobs), *l = out_data(losses);
  run([=] { ops::cross_entropy(n, k, p, targets, pw, d, l); }, probs, labels, weights, dprobs,
      losses);
}

void check_values(const Floats& y, const Floats& target, const std::optional<Floats>& weights,
                  const Floats& dy, const Floats& losses) {
  check_rank("y", y, 2);
  check_not_empty("y", y);
  check_shape("target", target, shape_of(y));
  check_results(y, weights, dy, losses);
}

void mean_squared_error(const Floats& y, const Floats& target, const std::optional<Floats>& weights,
                        Floats dy, Floats losses) {
  check_values(y, target, weights, dy, losses);
  const std::int64_t n = y.shape(0), k = y.shape(1);
  const float *py_ = y.data(), *t = target.data(), *pw = in_data(weights);
  float *d = out_data(dy), *l = out_data(losses);
  run([=] { ops::mean_squared_error(n, k, py_, t, pw, d, l); }, y, target, weights, dy, losses);
}

void mean_absolute_error(const Floats& y, const Floats& target,
                         const std::optional<Floats>& weights, Floats dy, Floats losses) {
  check_values(y, target, weights, dy, losses);
  const std::int64_t n = y.shape(0), k = y.shape(1);
  const float *py_ = y.data(), *t = target.data(), *pw = in_data(weights);
  float *d = out_data(dy), *l = out_data(losses);
  run([=] { ops::mean_absolute_error(n, k, py_, t, pw, d, l); }, y, target, weights, dy, losses);
}

void binary_cross_entropy(const Floats& y, const Floats& target, bool from_logits,
                          double label_smoothing, const std::optional<Floats>& weights, Floats dy,
                          Floats losses) {
  check_values(y, target, weights, dy, losses);
  const std::int64_t n = y.shape(0), k = y.shape(1);
  const float *py_ = y.data(), *t = target.data(), *pw = in_data(weights);
  float *d = out_data(dy), *l = out_data(losses);
  run([=] { ops::binary_cross_entropy(n, k, py_, t, from_logits, label_smoothing, pw, d, l); }, y,
      target, weights, dy, losses);
}

std::int64_t count_correct(const Floats& y, const py::array& labels) {
  const ops::Targets targets = targets_of(y, labels);
  const std::int64_t n = y.shape(0), k = y.shape(1);
  const float* py_ = y.data();
  return without_gil([=] { return ops::count_correct(n, k, py_, targets); });
}

}  // namespace

void bind_loss(py::module_& m) {
  m.def("softmax_cross_entropy", &softmax_cross_entropy, py::arg("logits").noconvert(),
        py::arg("labels").noconvert(), py::arg("sample_weight").noconvert(),
        py::arg("probs").noconvert(), py::arg("dlogits").noconvert(),
        py::arg("losses").noconvert());
  m.def("cross_entropy", &cross_entropy, py::arg("probs").noconvert(),
        py::arg("labels").noconvert(), py::arg("sample_weight").noconvert(),
        py::arg("dprobs").noconvert(), py::arg("losses").noconvert());
  m.def("mean_squared_error", &mean_squared_error, py::arg("y").noconvert(),
        py::arg("target").noconvert(), py::arg("sample_weight").noconvert(),
        py::arg("dy").noconvert(), py::arg("losses").noconvert());
  m.def("mean_absolute_error", &mean_absolute_error, py::arg("y").noconvert(),
        py::arg("target").noconvert(), py::arg("sample_weight").noconvert(),
        py::arg("dy").noconvert(), py::arg("losses").noconvert());
  m.def("binary_cross_entropy", &binary_cross_entropy, py::arg("y").noconvert(),
        py::arg("target").noconvert(), py::arg("from_logits"), py::arg("label_smoothing"),
        py::arg("sample_weight").noconvert(), py::arg("dy").noconvert(),
        py::arg("losses").noconvert());
  m.def("count_correct", &count_correct, py::arg("y").noconvert(), py::arg("labels").noconvert());
}

}  // namespace convkit::bindings
