#include "gil.h"

#include <unistd.h>

#if defined(__GLIBCXX__)
#include <cxxabi.h>
#endif

namespace convkit::bindings {
namespace {

// Calls f; where Python ends the thread in it, the thread waits for the end of the process.
template <class F>
auto or_wait_for_the_end(const F& f) {
#if defined(__GLIBCXX__)
  try {
    return f();
  } catch (abi::__forced_unwind&) {
    for (;;) pause();
  }
#else
  return f();
#endif
}

}  // namespace

void take_gil(PyThreadState* state) {
  or_wait_for_the_end([=] { PyEval_RestoreThread(state); });
}

py::object call_python(const py::object& function, const py::args& arguments,
                       const py::kwargs& options) {
  PyObject* result = or_wait_for_the_end(
      [&] { return PyObject_Call(function.ptr(), arguments.ptr(), options.ptr()); });
  if (!result) throw py::error_already_set();
  return py::reinterpret_steal<py::object>(result);
}

}  // namespace convkit::bindings
