#include "../dispatch/cpu.h"
#include "../ops/parallel.h"
#include "../ops/peak.h"
#include "array.h"

namespace convkit::bindings {

void bind_runtime(py::module_& m) {
  m.def("available_isas", &available_isas);
  m.def("isa", [] { return std::string(kernels().name); });
  m.def("select_isa", &select_isa, py::arg("name"));
  m.def("num_threads", &ops::num_threads);
  m.def(
      "set_num_threads",
      [](std::int64_t n) {
        if (n < 1 || n > 4096)
          throw std::invalid_argument("the number of threads must be between 1 and 4096, but is " +
                                      std::to_string(n));
        ops::set_num_threads(static_cast<int>(n));
      },
      py::arg("n"));
  m.def(
      "multiply_add_peak",
      [](std::int64_t rounds) {
        py::gil_scoped_release nogil;
        return ops::multiply_add_peak(rounds);
      },
      py::arg("rounds"));
}

}  // namespace convkit::bindings
