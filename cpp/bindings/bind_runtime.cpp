#include <cstring>
#include <memory>
#include <vector>

#include "../dispatch/cpu.h"
#include "../ops/parallel.h"
#include "../ops/peak.h"
#include "../ops/trace.h"
#include "array.h"
#include "gil.h"

namespace convkit::bindings {
namespace {

// A process's only trace; the one before is kept for those that may still write to it.
std::unique_ptr<ops::Trace> trace, former_trace;

void start_trace(bool one_thread) {
  former_trace = std::move(trace);
  trace = std::make_unique<ops::Trace>(one_thread);
  ops::Trace::set_current(trace.get());
}

py::array_t<std::int64_t> stop_trace() {
  if (!ops::Trace::current()) throw std::invalid_argument("no trace was started");
  ops::Trace::set_current(nullptr);
  const std::vector<ops::TraceRow> rows = trace->rows();
  constexpr py::ssize_t columns = sizeof(ops::TraceRow) / sizeof(std::int64_t);
  py::array_t<std::int64_t> array({static_cast<py::ssize_t>(rows.size()), columns});
  if (!rows.empty()) std::memcpy(array.mutable_data(), rows.data(), rows.size() * sizeof(rows[0]));
  return array;
}

}  // namespace

void bind_runtime(py::module_& m) {
  m.def("available_isas", &available_isas);
  select_kernels(kernels_of(available_isas().front()));
  ops::watch_forks();
  m.def("isa", [] { return std::string(selected_settings().kernels->name); });
  m.def(
      "select_isa", [](const std::string& name) { select_kernels(kernels_of(name)); },
      py::arg("name"));
  m.def("conv2d_direct", [] { return selected_settings().direct; });
  m.def("set_conv2d_direct", &select_direct, py::arg("only"));
  m.def("num_threads", &ops::num_threads);
  m.def("bound_processors", &ops::bound_processors);
  m.def(
      "set_num_threads",
      [](std::int64_t n) {
        if (n < 1 || n > 4096)
          throw std::invalid_argument("the number of threads must be between 1 and 4096, but is " +
                                      std::to_string(n));
        select_threads(static_cast<int>(n));
      },
      py::arg("n"));
  m.def("start_trace", &start_trace, py::arg("one_thread"));
  m.def(
      "trace_step",
      [](std::int64_t step) {
        if (trace) trace->set_step(step);
      },
      py::arg("step"));
  m.def("stop_trace", &stop_trace);
  m.def(
      "multiply_add_peak",
      [](std::int64_t rounds) {
        return without_gil([=] { return ops::multiply_add_peak(rounds); });
      },
      py::arg("rounds"));
}

}  // namespace convkit::bindings
