#include <algorithm>

#include "../ops/read_files.h"
#include "array.h"
#include "gil.h"

namespace convkit::bindings {
namespace {

constexpr std::int64_t kLargestFile = 1 << 20;

// paths: one behind the other, each with a 0 at its end.
py::bytes read_small_files(const Indices& paths, std::int64_t largest, Labels sizes) {
  check_rank("paths", paths, 1);
  check_rank("sizes", sizes, 1);
  if (largest < 0 || largest > kLargestFile)
    throw std::invalid_argument("largest must be 0 .. 1048576, but is " + std::to_string(largest));
  const char* at = reinterpret_cast<const char*>(paths.data());
  const char* const end = at + paths.size();
  std::vector<const char*> names;
  while (at != end) {
    const char* const zero = std::find(at, end, '\0');
    if (zero == end) throw std::invalid_argument("paths must end with a 0");
    names.push_back(at);
    at = zero + 1;
  }
  check_shape("sizes", sizes, {static_cast<std::int64_t>(names.size())});
  std::int64_t* to = sizes.mutable_data();
  std::vector<char> bytes;
  without_gil([&] { ops::read_small_files(names, largest, bytes, to); });
  return {bytes.data(), bytes.size()};
}

}  // namespace

void bind_read_files(py::handle m) {
  define(m, "read_small_files(paths, largest, sizes)", read_small_files);
}

}  // namespace convkit::bindings
