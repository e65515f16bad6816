#include "calls.h"

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <string>

#include "../ops/ranks.h"
#include "../ops/trace.h"
#include "array.h"

namespace convkit::bindings {

// One capture of the calling thread, which may interrupt another one of it.
struct Calls::Capture {
  Calls& calls;
  py::object frame;  // where it began
  bool is_whole = true;
  Capture* former;

  explicit Capture(Calls& calls);
  ~Capture();
};

namespace {

thread_local Calls::Capture* current = nullptr;

py::object current_frame() {
  return py::reinterpret_borrow<py::object>(reinterpret_cast<PyObject*>(PyEval_GetFrame()));
}

bool is_ours(const py::object& frame) {
  const py::object module = frame.attr("f_globals").attr("get")("__name__");
  if (!py::isinstance<py::str>(module)) return false;
  const auto name = module.cast<std::string>();
  return name == "convkit" || name.rfind("convkit.", 0) == 0;
}

// Whether nobody but convkit has a part in the call that is being made since the capture began. A
// handler of a signal, or a finalizer, runs in between anywhere, in a frame of its own.
bool is_ours_since(const py::object& begin) {
  for (py::object frame = current_frame(); !frame.is_none() && !frame.is(begin);
       frame = frame.attr("f_back"))
    if (!is_ours(frame)) return false;
  return true;
}

}  // namespace

Calls::Capture::Capture(Calls& calls)
    : calls(calls), frame(current_frame()), former(std::exchange(current, this)) {
  calls.works_.clear();
  calls.arrays_.clear();
}

Calls::Capture::~Capture() {
  current = former;
  if (is_whole) return;
  calls.works_.clear();
  calls.arrays_.clear();
}

py::object Calls::capture(const py::object& function, bool keep_weights,
                          const py::args& arguments) {
  const OperationScope scope;
  keeps_weights_ = keep_weights;
  Capture capture(*this);
  try {
    return call_python(function, arguments, py::kwargs());
  } catch (...) {
    refuse();
    throw;
  }
}

void Calls::refuse() {
  if (current) current->is_whole = false;
}

Calls* Calls::capturing() {
  if (!current || !current->is_whole) return nullptr;
  if (is_ours_since(current->frame)) return &current->calls;
  refuse();
  return nullptr;
}

void Calls::add(std::function<void()> work, std::vector<py::object> arrays) {
  works_.push_back(std::move(work));
  for (py::object& array : arrays) arrays_.push_back(std::move(array));
}

void Calls::replay() const {
  without_gil([this] {
    ops::Trace* const trace = ops::Trace::current();
    const std::int64_t begin = trace ? ops::Trace::now() : 0;
    for (const std::function<void()>& work : works_) work();
    if (trace) trace->add(0, ops::TraceRow::kReplay, 0, begin, ops::Trace::now());
  });
}

namespace {

constexpr std::int64_t kMostRanks = 1 << 20, kMostSamples = std::int64_t{1} << 40;

// Ranks that Python's `exchange` reaches, an object with the methods gather(values, offsets) and
// sum(values), which take memory of float32.
class PythonRanks : public ops::Ranks {
 public:
  PythonRanks(const py::object& exchange, std::int64_t rank, std::int64_t count,
              std::int64_t samples, bool exact)
      : Ranks(rank, count, samples, exact), exchange_(exchange) {}

  void gather(float* all, const std::vector<std::int64_t>& offsets) const override {
    with_gil([&] { exchange_.attr("gather")(memory(all, offsets.back()), py::cast(offsets)); });
  }
  void sum(float* values, std::int64_t size) const override {
    with_gil([&] { exchange_.attr("sum")(memory(values, size)); });
  }

 private:
  static py::memoryview memory(float* values, std::int64_t size) {
    return py::memoryview::from_memory(values, size * static_cast<py::ssize_t>(sizeof(float)));
  }

  const py::object& exchange_;
};

}  // namespace

void bind_calls(py::module_& m) {
  // Of Python's own kind of class: there are no static properties that pybind11's would be for.
  py::class_<Calls>(m, "Calls", py::metaclass(reinterpret_cast<PyObject*>(&PyType_Type)))
      .def(py::init<>())
      .def("capture", &Calls::capture)
      .def_static("refuse", &Calls::refuse)
      .def("replay", &Calls::replay)
      .def("__len__", &Calls::size);
  m.def(
      "as_one_operation",
      [](const py::object& function, const py::args& arguments) {
        const OperationScope scope;
        return call_python(function, arguments, py::kwargs());
      },
      py::arg("function"));
  m.def(
      "on_ranks",
      [](const py::object& exchange, std::int64_t rank, std::int64_t count, std::int64_t samples,
         bool exact, const py::object& function, const py::args& arguments) {
        const bool splits = count >= 1 && kBatchPieces % count == 0 && samples >= kBatchPieces;
        if (rank < 0 || rank >= count || count > kMostRanks || samples < count ||
            samples > kMostSamples || (exact && !splits))
          throw std::invalid_argument("these ranks cannot share such a batch");
        const PythonRanks ranks(exchange, rank, count, samples, exact);
        const RanksScope scope(&ranks);
        return call_python(function, arguments, py::kwargs());
      },
      py::arg("exchange"), py::arg("rank"), py::arg("count"), py::arg("samples"), py::arg("exact"),
      py::arg("function"));
}

}  // namespace convkit::bindings
