// Working without the GIL, and calling Python from C++, such that nothing is unwound when the
// interpreter ends meanwhile.
#pragma once

#include <pybind11/pytypes.h>

#include <type_traits>

#include "../dispatch/settings.h"

namespace convkit::bindings {

namespace py = pybind11;

// Takes the GIL again. When the interpreter has ended in the meantime, a daemon thread gets no
// further: Python would end it by unwinding its stack (which aborts the process at the first
// destructor, and without the GIL no object may be touched), so here it waits for the process's
// end, as Python itself lets it from 3.14 on.
void take_gil(PyThreadState* state);

// Does some work as one operation, without the GIL.
template <class Work>
auto without_gil(const Work& work) {
  PyThreadState* state = PyEval_SaveThread();
  const auto operation = [&] {
    const OperationScope scope;
    return work();
  };
  try {
    if constexpr (std::is_void_v<decltype(work())>) {
      operation();
      take_gil(state);
    } else {
      const auto result = operation();
      take_gil(state);
      return result;
    }
  } catch (...) {
    take_gil(state);
    throw;
  }
}

// Calls f, which uses Python, in the midst of an operation without the GIL.
template <class F>
void with_gil(const F& f) {
  PyThreadState* state = PyGILState_GetThisThreadState();
  take_gil(state);
  struct Release {
    ~Release() { PyEval_SaveThread(); }
  } release;
  f();
}

// What function(*arguments, **options) returns.
py::object call_python(const py::object& function, const py::args& arguments,
                       const py::kwargs& options);

}  // namespace convkit::bindings
