#include "../dispatch/cpu.h"
#include "../ops/parallel.h"
#include "../ops/peak.h"
#include "array.h"
#include "gil.h"

namespace convkit::bindings {

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
  m.def(
      "multiply_add_peak",
      [](std::int64_t rounds) {
        return without_gil([=] { return ops::multiply_add_peak(rounds); });
      },
      py::arg("rounds"));
}

}  // namespace convkit::bindings
