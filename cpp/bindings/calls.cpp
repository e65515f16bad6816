#include "calls.h"

#include "array.h"

namespace convkit::bindings {
namespace {

thread_local Calls* current = nullptr;

}  // namespace

void Calls::begin() {
  works_.clear();
  arrays_.clear();
  is_whole_ = true;
  former_ = std::exchange(current, this);
}

void Calls::end(bool is_whole) {
  current = std::exchange(former_, nullptr);
  if (is_whole && is_whole_) return;
  works_.clear();
  arrays_.clear();
}

void Calls::not_again() {
  if (current) current->is_whole_ = false;
}

Calls* Calls::recording() { return current; }

void Calls::add(std::function<void()> work, std::vector<py::object> arrays) {
  works_.push_back(std::move(work));
  for (py::object& array : arrays) arrays_.push_back(std::move(array));
}

void Calls::repeat() const {
  for (const std::function<void()>& work : works_) work();
}

void bind_calls(py::module_& m) {
  // Of Python's own kind of class: there are no static properties that pybind11's would be for.
  py::class_<Calls>(m, "Calls", py::metaclass(reinterpret_cast<PyObject*>(&PyType_Type)))
      .def(py::init<>())
      .def(
          "__enter__",
          [](Calls& calls) -> Calls& {
            calls.begin();
            return calls;
          },
          py::return_value_policy::reference)
      .def("__exit__", [](Calls& calls, const py::object& error, const py::object&,
                          const py::object&) { calls.end(error.is_none()); })
      .def_static("not_again", &Calls::not_again)
      .def("repeat", &Calls::repeat, py::call_guard<py::gil_scoped_release>())
      .def("__len__", &Calls::size);
}

}  // namespace convkit::bindings
