#include "../ops/loss.h"

#include "../ops/row_loss.h"
#include "array.h"
#include "calls.h"

namespace convkit::bindings {
namespace {

using Weights = std::optional<Floats>;

// The shape of the rows: all axes but the last.
Sizes rows_of(const Array& y) {
  const Sizes shape = shape_of(y);
  return Sizes(shape.begin(), shape.end() - 1);
}

void check_output(const Array& y) {
  if (y.ndim() < 2) {
    throw std::invalid_argument("the output must have shape (N, ..., K), but its shape is " +
                                to_string(shape_of(y)));
  }
  check_not_empty("the output", y);
}

// (N, ..., K) with the positions between the first axis and the last as one.
ops::LossShape loss_shape(const Floats& y, const Weights& weights, ops::Reduction reduction,
                          const Floats& gradient, const Floats& losses) {
  const std::int64_t n = y.shape(0), k = y.shape(y.ndim() - 1);
  check_shape("the gradient", gradient, shape_of(y));
  check_shape("losses", losses, {n});
  const bool by_row = weights && weights->ndim() != 1;
  if (weights) check_shape("sample_weight", *weights, by_row ? rows_of(y) : Sizes{n});
  return {n, y.size() / (n * k), k, in_data(weights), by_row, reduction};
}

// Class numbers (N, ...) or distributions (N, ..., K), told apart by type.
ops::Targets targets_of(const Array& y, const Array& targets, double smoothing = 0.0,
                        const std::optional<std::int64_t>& ignored = std::nullopt) {
  check_output(y);
  if (!targets.is_contiguous()) throw py::type_error("labels must be contiguous in C order");
  ops::Targets found{
      nullptr, nullptr, nullptr, smoothing, ignored.has_value(), ignored.value_or(0)};
  if (targets.holds<float>()) {
    check_shape("one-hot labels", targets, shape_of(y));
    found.distribution = static_cast<const float*>(targets.memory());
    return found;
  }
  if (targets.holds<std::int64_t>()) {
    found.labels = static_cast<const std::int64_t*>(targets.memory());
  } else if (targets.holds<std::uint8_t>()) {
    found.bytes = static_cast<const std::uint8_t*>(targets.memory());
  } else {
    throw py::type_error("labels must be int64, uint8 or one-hot float32, but are " +
                         targets.dtype());
  }
  check_shape("labels", targets, rows_of(y));
  return found;
}

void softmax_cross_entropy(const Floats& logits, const Array& labels, double smoothing,
                           const std::optional<std::int64_t>& ignored, const Weights& weights,
                           ops::Reduction reduction, Floats probs, Floats dlogits, Floats losses) {
  const ops::Targets targets = targets_of(logits, labels, smoothing, ignored);
  const ops::LossShape s = loss_shape(logits, weights, reduction, dlogits, losses);
  check_shape("probs", probs, shape_of(logits));
  const float* x = logits.data();
  float *p = out_data(probs), *d = out_data(dlogits), *l = out_data(losses);
  run([=] { ops::softmax_cross_entropy(s, x, targets, p, d, l); }, logits, labels, weights, probs,
      dlogits, losses);
}

void cross_entropy(const Floats& probs, const Array& labels, double smoothing,
                   const std::optional<std::int64_t>& ignored, const Weights& weights,
                   ops::Reduction reduction, Floats dprobs, Floats losses) {
  const ops::Targets targets = targets_of(probs, labels, smoothing, ignored);
  const ops::LossShape s = loss_shape(probs, weights, reduction, dprobs, losses);
  const float* p = probs.data();
  float *d = out_data(dprobs), *l = out_data(losses);
  run([=] { ops::cross_entropy(s, p, targets, d, l); }, probs, labels, weights, dprobs, losses);
}

void categorical_focal_cross_entropy(const Floats& y, const Array& labels, const Floats& alpha,
                                     double gamma, double smoothing, const Weights& weights,
                                     ops::Reduction reduction, std::optional<Floats> probs,
                                     Floats dy, Floats losses) {
  const ops::Targets targets = targets_of(y, labels, smoothing);
  const ops::LossShape s = loss_shape(y, weights, reduction, dy, losses);
  const bool by_class = alpha.size() != 1;
  check_shape("alpha", alpha, {by_class ? s.k : 1});
  if (probs) check_shape("probs", *probs, shape_of(y));
  const ops::Focus focus{alpha.data(), by_class, gamma};
  const float* x = y.data();
  float *p = out_data(probs), *d = out_data(dy), *l = out_data(losses);
  run([=] { ops::categorical_focal_cross_entropy(s, x, targets, focus, p, d, l); }, y, labels,
      alpha, weights, probs, dy, losses);
}

void row_loss(ops::RowLoss kind, const Floats& y, const Floats& target, double delta,
              double smoothing, double alpha, double gamma, bool from_logits, bool balanced,
              const Weights& weights, ops::Reduction reduction, Floats dy, Floats losses) {
  check_output(y);
  check_shape("target", target, shape_of(y));
  const ops::LossShape s = loss_shape(y, weights, reduction, dy, losses);
  const ops::RowLossParameters given{delta, smoothing, alpha, gamma, from_logits, balanced};
  const float *x = y.data(), *t = target.data();
  float *d = out_data(dy), *l = out_data(losses);
  run([=] { ops::row_loss(kind, s, x, t, given, d, l); }, y, target, weights, dy, losses);
}

std::int64_t count_correct(const Floats& y, const Array& labels) {
  const ops::Targets targets = targets_of(y, labels);
  const std::int64_t k = y.shape(y.ndim() - 1), rows = y.size() / k;
  const float* py_ = y.data();
  return without_gil([=] { return ops::count_correct(rows, k, py_, targets); });
}

}  // namespace

void bind_loss(py::handle m) {
  using ops::Reduction, ops::RowLoss;
  define<Reduction>(m, "Reduction",
                    {{"sum_over_batch_size", Reduction::kMean},
                     {"sum", Reduction::kSum},
                     {"mean_with_sample_weight", Reduction::kWeightedMean}});
  define<RowLoss>(m, "RowLoss",
                  {{"squared_error", RowLoss::kSquaredError},
                   {"absolute_error", RowLoss::kAbsoluteError},
                   {"absolute_percentage_error", RowLoss::kAbsolutePercentageError},
                   {"squared_logarithmic_error", RowLoss::kSquaredLogarithmicError},
                   {"huber", RowLoss::kHuber},
                   {"log_cosh", RowLoss::kLogCosh},
                   {"hinge", RowLoss::kHinge},
                   {"squared_hinge", RowLoss::kSquaredHinge},
                   {"poisson", RowLoss::kPoisson},
                   {"binary_cross_entropy", RowLoss::kBinaryCrossEntropy},
                   {"binary_focal_cross_entropy", RowLoss::kBinaryFocalCrossEntropy},
                   {"kl_divergence", RowLoss::kKlDivergence},
                   {"cosine_similarity", RowLoss::kCosineSimilarity},
                   {"categorical_hinge", RowLoss::kCategoricalHinge}});
  define(m,
         "softmax_cross_entropy(logits, labels, smoothing, ignored, sample_weight, reduction, "
         "probs, dlogits, losses)",
         softmax_cross_entropy);
  define(
      m,
      "cross_entropy(probs, labels, smoothing, ignored, sample_weight, reduction, dprobs, losses)",
      cross_entropy);
  define(m,
         "categorical_focal_cross_entropy(y, labels, alpha, gamma, smoothing, sample_weight, "
         "reduction, probs, dy, losses)",
         categorical_focal_cross_entropy);
  define(m,
         "row_loss(kind, y, target, delta, smoothing, alpha, gamma, from_logits, balanced, "
         "sample_weight, reduction, dy, losses)",
         row_loss);
  define(m, "count_correct(y, labels)", count_correct);
}

}  // namespace convkit::bindings
