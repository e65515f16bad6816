#include "function.h"

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <array>
#include <memory>
#include <new>
#include <stdexcept>

#include "array.h"

namespace convkit::bindings {
namespace {

constexpr std::size_t kMostParameters = 32;

struct Function {
  std::string name, doc;
  std::vector<py::str> parameters;
  std::vector<std::string> types;  // of each
  Call call;
  AnyFunction function;
  PyMethodDef method;
};

using Arguments = std::array<PyObject*, kMostParameters>;

// In the parameters' order, one for each.
Arguments arguments_of(const Function& f, PyObject* const* given, std::size_t positional,
                       PyObject* names) {
  const auto fail = [&f](const std::string& what) { throw py::type_error(f.name + "() " + what); };
  const std::vector<py::str>& parameters = f.parameters;
  if (positional > parameters.size())
    fail("takes " + std::to_string(parameters.size()) + " arguments, but got " +
         std::to_string(positional));
  Arguments arguments{};
  std::copy_n(given, positional, arguments.begin());
  const Py_ssize_t named = names ? PyTuple_GET_SIZE(names) : 0;
  for (Py_ssize_t i = 0; i < named; ++i) {
    const py::handle name = PyTuple_GET_ITEM(names, i);
    const auto parameter =
        std::find_if(parameters.begin(), parameters.end(), [name](const py::str& parameter) {
          return PyUnicode_Compare(parameter.ptr(), name.ptr()) == 0;
        });
    if (parameter == parameters.end()) fail("has no argument " + std::string(py::str(name)));
    PyObject*& argument = arguments[parameter - parameters.begin()];
    if (argument) fail("got two values for " + std::string(*parameter));
    argument = given[positional + i];
  }
  for (std::size_t i = 0; i < parameters.size(); ++i)
    if (!arguments[i]) fail("needs the argument " + std::string(parameters[i]));
  return arguments;
}

// Whether it is a whole number, or has one, that needs more than 64 bits.
bool is_too_large(py::handle value) {
  if (PyLong_CheckExact(value.ptr())) {
    int overflow = 0;
    PyLong_AsLongLongAndOverflow(value.ptr(), &overflow);
    return overflow != 0;
  }
  if (!PyTuple_CheckExact(value.ptr()) && !PyList_CheckExact(value.ptr())) return false;
  for (const py::handle item : value)
    if (PyLong_CheckExact(item.ptr()) && is_too_large(item)) return true;
  return false;
}

std::string description(py::handle value) {
  if (!py::isinstance<py::array>(value)) {
    const std::string what = is_too_large(value) ? " that is too large for 64 bits" : "";
    return std::string("a ") + Py_TYPE(value.ptr())->tp_name + what;
  }
  const Array array(value.ptr());
  return "an array of " + array.dtype() + (array.is_contiguous() ? "" : ", not in C order");
}

PyObject* call_checked(const Function& f, const Arguments& arguments) {
  try {
    return f.call(f.function, arguments.data());
  } catch (const Mismatch& wrong) {
    const std::size_t place = wrong.argument - arguments.data();
    throw py::type_error(f.name + "(): " + std::string(f.parameters[place]) + " must be " +
                         f.types[place] + ", but is " + description(*wrong.argument));
  }
}

PyObject* call_function(PyObject* self, PyObject* const* given, Py_ssize_t positional,
                        PyObject* names) {
  try {
    const auto& f = *static_cast<const Function*>(PyCapsule_GetPointer(self, nullptr));
    return call_checked(f, arguments_of(f, given, positional, names));
  } catch (py::error_already_set& error) {
    error.restore();
  } catch (const py::builtin_exception& error) {
    error.set_error();
  } catch (const std::bad_alloc&) {
    PyErr_NoMemory();
  } catch (const std::logic_error& error) {
    PyErr_SetString(PyExc_ValueError, error.what());
  } catch (const std::exception& error) {
    PyErr_SetString(PyExc_RuntimeError, error.what());
  }
  return nullptr;
}

// The names of the parameters of "name(first, second)".
std::vector<py::str> parameters_of(const std::string& signature) {
  std::vector<py::str> names;
  std::size_t begin = signature.find('(') + 1;
  while (begin < signature.size() - 1) {
    const std::size_t end = signature.find_first_of(",)", begin);
    names.emplace_back(signature.substr(begin, end - begin));
    begin = end + 2;
  }
  return names;
}

}  // namespace

template <class T, class U>
T Argument<T, U>::read(PyObject* const& given) {
  py::detail::make_caster<T> caster;
  if (!caster.load(given, true)) throw Mismatch(given);
  return py::detail::cast_op<T>(caster);
}

template <class T, class U>
std::string Argument<T, U>::type() {
  if constexpr (std::is_same_v<T, bool>) {
    return "bool";
  } else if constexpr (std::is_integral_v<T>) {
    return "typing.SupportsInt | typing.SupportsIndex";
  } else if constexpr (std::is_floating_point_v<T>) {
    return "typing.SupportsFloat | typing.SupportsIndex";
  } else if constexpr (std::is_same_v<T, std::string>) {
    return "str";
  } else if constexpr (std::is_same_v<T, Sizes>) {
    return "collections.abc.Sequence[" + Argument<std::int64_t>::type() + "]";
  } else {
    return "typing.Annotated[" + Argument<Sizes>::type() + ", \"FixedSize(" +
           std::to_string(std::tuple_size_v<T>) + ")\"]";
  }
}

template struct Argument<bool>;
template struct Argument<int>;
template struct Argument<std::int64_t>;
template struct Argument<std::uint64_t>;
template struct Argument<double>;
template struct Argument<std::string>;
template struct Argument<Sizes>;
template struct Argument<Pair>;
template struct Argument<Pads>;

template <class T>
PyObject* Result<T>::give(const T& value) {
  if constexpr (std::is_base_of_v<py::handle, T>) {
    return value.inc_ref().ptr();
  } else {
    return py::cast(value).release().ptr();
  }
}

template <class T>
std::string Result<T>::type() {
  if constexpr (std::is_same_v<T, std::vector<std::string>>) return "list[str]";
  if constexpr (std::is_same_v<T, std::string>) return "str";
  if constexpr (std::is_same_v<T, py::bytes>) return "bytes";
  if constexpr (std::is_same_v<T, bool>) return "bool";
  return std::is_integral_v<T> ? "int" : "float";
}

template struct Result<bool>;
template struct Result<int>;
template struct Result<std::int64_t>;
template struct Result<double>;
template struct Result<std::string>;
template struct Result<py::bytes>;
template struct Result<std::vector<std::string>>;

py::handle define_enumeration(py::handle module, const char* name, const Members& members) {
  py::object made = py::module_::import("enum").attr("Enum")(
      name, members, py::arg("module") = module.attr("__name__"));
  module.attr(name) = made;
  return made.release();
}

int read_enumeration(py::handle enumeration, PyObject* const& given) {
  if (!py::isinstance(given, enumeration)) throw Mismatch(given);
  return py::handle(given).attr("value").cast<int>();
}

std::string name_of(py::handle enumeration) {
  return py::str("{}.{}").format(enumeration.attr("__module__"), enumeration.attr("__qualname__"));
}

void define(py::handle module, const std::string& signature, std::vector<std::string> types,
            const std::string& result, Call call, AnyFunction function) {
  auto f = std::make_unique<Function>();
  f->name = signature.substr(0, signature.find('('));
  f->parameters = parameters_of(signature);
  f->types = std::move(types);
  if (f->parameters.size() != f->types.size() || f->types.size() > kMostParameters)
    throw std::logic_error("parameters do not fit their names: " + signature);
  f->doc = f->name + "(";
  for (std::size_t i = 0; i < f->types.size(); ++i)
    f->doc += (i ? ", " : "") + std::string(f->parameters[i]) + ": " + f->types[i];
  f->doc += ") -> " + result;
  f->call = call;
  f->function = function;
  f->method = {f->name.c_str(),
               reinterpret_cast<PyCFunction>(reinterpret_cast<AnyFunction>(call_function)),
               METH_FASTCALL | METH_KEYWORDS, f->doc.c_str()};
  PyMethodDef* method = &f->method;
  const char* name = method->ml_name;
  const py::capsule owner(f.release(), [](void* f) { delete static_cast<Function*>(f); });
  const auto made = py::reinterpret_steal<py::object>(
      PyCFunction_NewEx(method, owner.ptr(), module.attr("__name__").ptr()));
  if (!made) throw py::error_already_set();
  module.attr(name) = made;
}

}  // namespace convkit::bindings
