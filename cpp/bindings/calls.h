// Native calls that are replayed. A training step makes the same calls with the same arrays as the
// step before, so what a call needs, once it is checked, can be kept: `run` makes a call, and where
// the calling thread captures, keeps it.
#pragma once

#include <pybind11/pytypes.h>

#include <functional>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "../ops/extent.h"
#include "../ops/kept_weights.h"
#include "../shapes.h"
#include "gil.h"

namespace convkit::bindings {

namespace py = pybind11;

// Calls in their order, with the arrays that they read and write.
class Calls {
 public:
  // What function(*arguments) returns; the calls that this thread makes meanwhile are kept instead
  // of earlier ones, and all have the same settings. Nothing is kept where they would not be the
  // whole: after an error, when refuse() was said, or when somebody else's call came in between.
  py::object capture(const py::object& function, bool keep_weights, const py::args& arguments);
  // What is being captured cannot be replayed.
  static void refuse();
  // Who captures the calling thread's calls, or null.
  static Calls* capturing();

  void add(std::function<void()> work, std::vector<py::object> arrays);
  // Whether a replayed call may keep what it makes of weights until they change.
  bool keeps_weights() const { return keeps_weights_; }
  std::size_t size() const { return works_.size(); }
  // Makes all of them again, as one operation, unchecked: their arrays are where they were, and
  // what a check found in an array is what the calls themselves have written.
  void replay() const;

  struct Capture;

 private:
  std::vector<std::function<void()>> works_;
  std::vector<py::object> arrays_;
  bool keeps_weights_ = false;
};

inline py::object object_of(const py::object& array) { return array; }
template <class Array>
py::object object_of(const std::optional<Array>& array) {
  return array ? py::object(*array) : py::object(py::none());
}

// Does the work of a checked call without the GIL. It may capture pointers and sizes by value, and
// no Python objects: those whose memory it uses are given behind it.
template <class Work, class... Arrays>
void run(const Work& work, const Arrays&... arrays) {
  static_assert(std::is_trivially_copyable_v<Work>);
  without_gil(work);
  if (Calls* calls = Calls::capturing()) calls->add(work, {object_of(arrays)...});
}

// The same for work(s) of a convolution, which may keep what it makes of its weights.
template <class Work, class... Arrays>
void run_convolution(const ConvShape& s, const Work& work, const Arrays&... arrays) {
  static_assert(std::is_trivially_copyable_v<Work>);
  without_gil([&] { work(s); });
  Calls* calls = Calls::capturing();
  if (!calls) return;
  if (!calls->keeps_weights()) return calls->add([=] { work(s); }, {object_of(arrays)...});
  const auto kept = std::make_shared<ops::KeptWeights>();
  const auto again = [=] {
    ConvShape keeping = s;
    if (kept->begin(ops::product(s.n, s.oh, s.ow))) keeping.kept = kept.get();
    work(keeping);
  };
  calls->add(again, {object_of(arrays)...});
}

}  // namespace convkit::bindings
