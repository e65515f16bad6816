#include "../ops/gather.h"
#include "array.h"
#include "calls.h"

namespace convkit::bindings {
namespace {

void gather(const Array& source, const Labels& indices, double scale, Floats out) {
  if (source.ndim() < 1 || !source.is_contiguous())
    throw py::type_error("source must be an array of rows, contiguous in C order");
  check_rank("indices", indices, 1);
  Sizes expected = shape_of(source);
  const std::int64_t rows = expected[0], n = indices.size();
  expected[0] = n;
  check_shape("out", out, expected);
  const std::int64_t* at = indices.data();
  for (std::int64_t i = 0; i < n; ++i) {
    if (at[i] >= 0 && at[i] < rows) continue;
    throw std::invalid_argument("index " + std::to_string(at[i]) + " is not in [0, " +
                                std::to_string(rows) + "), the rows of source");
  }
  const std::int64_t size = n > 0 ? out.size() / n : 0;
  const bool bytes = source.holds<std::uint8_t>();
  if (!bytes && !source.holds<float>()) {
    throw py::type_error("source must be uint8 or float32, but is " + source.dtype());
  }
  const void* from = source.memory();
  float* to = out_data(out);
  run(
      [=] {
        if (bytes) {
          ops::gather(n, size, static_cast<const std::uint8_t*>(from), at,
                      static_cast<float>(scale), to);
        } else {
          ops::gather(n, size, static_cast<const float*>(from), at, static_cast<float>(scale), to);
        }
      },
      source, indices, out);
}

}  // namespace

void bind_gather(py::handle m) { define(m, "gather(source, indices, scale, out)", gather); }

}  // namespace convkit::bindings
