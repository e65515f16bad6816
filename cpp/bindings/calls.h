// Native calls that are made again. A training step makes the same calls with the same arrays as
// the step before, so what a call needs, once it is checked, can be kept: `run` makes a call, and
// where somebody is recording, writes it down.
#pragma once

#include <pybind11/pybind11.h>

#include <functional>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

namespace convkit::bindings {

namespace py = pybind11;

// Calls in their order, with the arrays that they read and write.
class Calls {
 public:
  // From begin() to end() the calls of this thread are written down. Nothing is left in the end
  // where they are not the whole: after an error, or when not_again() was said meanwhile.
  void begin();
  void end(bool is_whole);
  // What is being written down cannot be repeated.
  static void not_again();
  // Whose turn it is to write down, or null.
  static Calls* recording();

  void add(std::function<void()> work, std::vector<py::object> arrays);
  std::size_t size() const { return works_.size(); }
  // Makes all of them again, unchecked: their arrays are where they were, and what a check found
  // in an array is what the calls themselves have written.
  void repeat() const;

 private:
  std::vector<std::function<void()>> works_;
  std::vector<py::object> arrays_;
  Calls* former_ = nullptr;
  bool is_whole_ = true;
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
  {
    py::gil_scoped_release nogil;
    work();
  }
  if (Calls* calls = Calls::recording()) calls->add(work, {object_of(arrays)...});
}

}  // namespace convkit::bindings
