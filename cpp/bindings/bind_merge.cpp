#include <cmath>

#include "../ops/merge.h"
#include "array.h"
#include "calls.h"

namespace convkit::bindings {

namespace {

// Each array is broadcast to the shape, by NumPy's rule.
void check_broadcast(const char* name, const Sizes& from, const Sizes& to) {
  bool fits = from.size() <= to.size();
  for (std::size_t i = 1; fits && i <= from.size(); ++i) {
    const std::int64_t size = from[from.size() - i];
    fits = size == 1 || size == to[to.size() - i];
  }
  if (fits) return;
  throw std::invalid_argument(std::string(name) + " must be broadcast to " + to_string(to) +
                              ", but its shape is " + to_string(from));
}

// The arrays' shapes, each of which is broadcast to the one given.
std::vector<Sizes> checked_shapes(const Arrays& arrays, const Sizes& shape) {
  if (arrays.empty() || arrays.size() > kMostMerged)
    throw std::invalid_argument("there must be 1 to " + std::to_string(kMostMerged) +
                                " arrays, but are " + std::to_string(arrays.size()));
  std::vector<Sizes> shapes;
  for (const Floats& array : arrays) {
    shapes.push_back(shape_of(array));
    check_broadcast("every array", shapes.back(), shape);
  }
  return shapes;
}

// The shape that all of those are broadcast to, which fit it.
Sizes broadcast_shape(const std::vector<Sizes>& shapes) {
  Sizes whole;
  for (const Sizes& shape : shapes) {
    if (shape.size() > whole.size()) whole.insert(whole.begin(), shape.size() - whole.size(), 1);
    for (std::size_t i = 1; i <= shape.size(); ++i)
      if (shape[shape.size() - i] != 1) whole[whole.size() - i] = shape[shape.size() - i];
  }
  return whole;
}

std::vector<const float*> pointers(const Arrays& arrays) {
  std::vector<const float*> data;
  for (const Floats& array : arrays) data.push_back(array.data());
  return data;
}

void merge(Merge kind, const Arrays& arrays, double divisor, std::optional<Indices> indices,
           Floats out) {
  const Sizes shape = shape_of(out);
  const std::vector<Sizes> shapes = checked_shapes(arrays, shape);
  check_shape("out", out, broadcast_shape(shapes));
  const bool selects = kind == Merge::kMaximum || kind == Merge::kMinimum;
  if (selects != indices.has_value())
    throw std::invalid_argument("indices are given for the maximum and the minimum alone");
  if (indices) check_shape("indices", *indices, shape);
  float* y = out_data(out);
  std::uint8_t* where = indices ? indices->mutable_data() : nullptr;
  if (out.size() == 0) return;
  const auto [all, owner] = owned<ops::Broadcast>(shape, shapes, pointers(arrays));
  const auto d = static_cast<float>(divisor);
  const ops::Broadcast* merged = all;
  run([=] { ops::merge(*merged, kind, d, y, where); }, arrays.kept, owner, indices, out);
}

void merge_backward(const Arrays& arrays, double divisor, const std::optional<Indices>& indices,
                    int index, Floats out) {
  if (arrays.empty()) throw std::invalid_argument("the first array must be dy, but there is none");
  const Sizes shape = shape_of(arrays[0]);
  std::vector<Sizes> shapes = checked_shapes(arrays, shape);
  check_rank("out", out, arrays[0].ndim());
  check_broadcast("out", shape_of(out), shape);
  if (indices) check_shape("indices", *indices, shape);
  if (indices && (arrays.size() > 1 || divisor != 1.0))
    throw std::invalid_argument("with indices, dy must be alone and divisor 1");
  const std::uint8_t* where = indices ? indices->data() : nullptr;
  float* dx = out_data(out);
  if (out.size() == 0) return;
  const auto d = static_cast<float>(divisor);
  const py::tuple& kept = arrays.kept;
  if (out.size() != arrays[0].size()) {
    shapes.push_back(shape_of(out));
    const auto [all, owner] = owned<ops::BroadcastSum>(shape, shapes, pointers(arrays));
    const ops::BroadcastSum* sum = all;
    run([=] { ops::merge_sum(*sum, where, index, d, dx); }, kept, owner, indices, out);
  } else if (indices) {
    const float* dy = arrays[0].data();
    const std::int64_t n = out.size();
    run([=] { ops::merge_select(dy, where, index, dx, n); }, kept, indices, out);
  } else {
    const auto [all, owner] = owned<ops::Broadcast>(shape, shapes, pointers(arrays));
    const ops::Broadcast* merged = all;
    run([=] { ops::merge(*merged, Merge::kMultiply, d, dx, nullptr); }, kept, owner, out);
  }
}

}  // namespace

void bind_merge(py::handle m) {
  define<Merge>(m, "Merge",
                {{"add", Merge::kAdd},
                 {"subtract", Merge::kSubtract},
                 {"multiply", Merge::kMultiply},
                 {"maximum", Merge::kMaximum},
                 {"minimum", Merge::kMinimum}});
  define(m, "merge(kind, arrays, divisor, indices, out)", merge);
  define(m, "merge_backward(arrays, divisor, indices, index, out)", merge_backward);
}

}  // namespace convkit::bindings
