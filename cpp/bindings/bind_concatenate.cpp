#include "../ops/concatenate.h"
#include "array.h"
#include "calls.h"

namespace convkit::bindings {
namespace {

// Where a part lies in the whole, along an axis from `begin` on: the same rows in both.
struct PartOfRows {
  std::int64_t rows, width, whole, first;
};

PartOfRows part_of_rows(const Floats& part, const Floats& whole, std::int64_t axis,
                        std::int64_t begin) {
  if (axis < 0 || axis >= whole.ndim())
    throw std::invalid_argument("axis must be in [0, " + std::to_string(whole.ndim()) +
                                "), but is " + std::to_string(axis));
  check_rank("the part", part, whole.ndim());
  Sizes expected = shape_of(whole);
  const std::int64_t size = part.shape(axis), all = expected[axis];
  if (begin < 0 || size > all || begin > all - size)
    throw std::invalid_argument("a part of " + std::to_string(size) + " from " +
                                std::to_string(begin) + " on is not inside the " +
                                std::to_string(all) + " of the whole");
  expected[axis] = size;
  check_shape("the part", part, expected);
  check_not_empty("the part", part);
  std::int64_t rows = 1, inner = 1;
  for (std::int64_t i = 0; i < axis; ++i) rows *= expected[i];
  for (std::int64_t i = axis + 1; i < whole.ndim(); ++i) inner *= expected[i];
  return {rows, size * inner, all * inner, begin * inner};
}

void concatenate_forward(const Arrays& arrays, std::int64_t axis, Floats out) {
  if (arrays.empty()) throw std::invalid_argument("there must be at least one array");
  std::vector<ops::RowPart> found;
  std::int64_t begin = 0;
  PartOfRows p = {};
  for (const Floats& x : arrays) {
    p = part_of_rows(x, out, axis, begin);
    found.push_back({x.data(), p.width, p.first});
    begin += x.shape(axis);
  }
  if (begin != out.shape(axis))
    throw std::invalid_argument("the arrays have " + std::to_string(begin) + " of the " +
                                std::to_string(out.shape(axis)) + " of out");
  float* to = out_data(out);
  const std::int64_t rows = p.rows, whole = p.whole;
  const auto [all, owner] = owned<std::vector<ops::RowPart>>(std::move(found));
  const std::vector<ops::RowPart>* parts = all;
  run([=] { ops::concatenate(*parts, rows, whole, to); }, arrays.kept, owner, out);
}

void concatenate_backward(const Floats& dy, std::int64_t axis, std::int64_t begin, Floats out) {
  const PartOfRows p = part_of_rows(out, dy, axis, begin);
  const float* from = dy.data() + p.first;
  float* to = out_data(out);
  run([=] { ops::copy_rows(from, p.whole, p.rows, p.width, to, p.width); }, dy, out);
}

}  // namespace

void bind_concatenate(py::handle m) {
  define(m, "concatenate_forward(arrays, axis, out)", concatenate_forward);
  define(m, "concatenate_backward(dy, axis, begin, out)", concatenate_backward);
}

}  // namespace convkit::bindings
