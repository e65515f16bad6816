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

void trace_step(std::int64_t step) {
  if (trace) trace->set_step(step);
}

// The rows as they lie in memory.
py::bytes stop_trace() {
  if (!ops::Trace::current()) throw std::invalid_argument("no trace was started");
  ops::Trace::set_current(nullptr);
  const std::vector<ops::TraceRow> rows = trace->rows();
  return {reinterpret_cast<const char*>(rows.data()), rows.size() * sizeof(ops::TraceRow)};
}

std::string isa() { return selected_settings().kernels->name; }

void select_isa(const std::string& name) { select_kernels(kernels_of(name)); }

bool conv2d_direct() { return selected_settings().direct; }

void set_num_threads(std::int64_t n) {
  if (n < 1 || n > 4096)
    throw std::invalid_argument("the number of threads must be between 1 and 4096, but is " +
                                std::to_string(n));
  select_threads(static_cast<int>(n));
}

double multiply_add_peak(std::int64_t rounds) {
  return without_gil([=] { return ops::multiply_add_peak(rounds); });
}

}  // namespace

void bind_runtime(py::handle m) {
  select_kernels(kernels_of(available_isas().front()));
  ops::begin_threads();
  define(m, "available_isas()", available_isas);
  define(m, "isa()", isa);
  define(m, "select_isa(name)", select_isa);
  define(m, "conv2d_direct()", conv2d_direct);
  define(m, "set_conv2d_direct(only)", select_direct);
  define(m, "num_threads()", ops::num_threads);
  define(m, "bound_processors()", ops::bound_processors);
  define(m, "set_num_threads(n)", set_num_threads);
  define(m, "start_trace(one_thread)", start_trace);
  define(m, "trace_step(step)", trace_step);
  define(m, "stop_trace()", stop_trace);
  define(m, "multiply_add_peak(rounds)", multiply_add_peak);
}

}  // namespace convkit::bindings
