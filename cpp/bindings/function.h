// How C++ functions become Python's. For each of them a compiler makes calls that read its
// arguments, and nothing else: what reads an argument of a type is compiled once.
#pragma once

#include <pybind11/pytypes.h>

#include <exception>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace convkit::bindings {

namespace py = pybind11;

// Thrown where an argument is not of its type; says where the argument was given.
struct Mismatch : std::exception {
  explicit Mismatch(PyObject* const& given) : argument(&given) {}
  PyObject* const* argument;
};

// What Python gives for a T, borrowed for the time of the call, and how signatures name it. What
// none of these describes is a specialisation's.
template <class T, class = void>
struct Argument {
  static T read(PyObject* const& given);
  static std::string type();
};

template <class T>
struct Argument<std::optional<T>> {
  static std::optional<T> read(PyObject* const& given) {
    if (given == Py_None) return std::nullopt;
    return Argument<T>::read(given);
  }
  static std::string type() { return Argument<T>::type() + " | None"; }
};

// Python's class of an enumeration.
template <class T>
inline py::handle enumeration;

using Members = std::vector<std::pair<const char*, int>>;
py::handle define_enumeration(py::handle module, const char* name, const Members& members);
int read_enumeration(py::handle enumeration, PyObject* const& given);
std::string name_of(py::handle enumeration);

template <class T>
void define(py::handle module, const char* name,
            std::initializer_list<std::pair<const char*, T>> members) {
  Members numbers;
  for (const auto& [member, value] : members) numbers.emplace_back(member, static_cast<int>(value));
  enumeration<T> = define_enumeration(module, name, numbers);
}

template <class T>
struct Argument<T, std::enable_if_t<std::is_enum_v<T>>> {
  static T read(PyObject* const& given) {
    return static_cast<T>(read_enumeration(enumeration<T>, given));
  }
  static std::string type() { return name_of(enumeration<T>); }
};

// A result for Python.
template <class T>
struct Result {
  static PyObject* give(const T& value);
  static std::string type();
};
template <>
struct Result<void> {
  static std::string type() { return "None"; }
};

using AnyFunction = void (*)();
using Call = PyObject* (*)(AnyFunction function, PyObject* const* given);
void define(py::handle module, const std::string& signature, std::vector<std::string> types,
            const std::string& result, Call call, AnyFunction function);

template <class T, class... Parameters, std::size_t... Places>
void define(py::handle module, const char* signature, T (*function)(Parameters...),
            std::index_sequence<Places...>) {
  const Call call = [](AnyFunction any, [[maybe_unused]] PyObject* const* given) {
    const auto typed = reinterpret_cast<T (*)(Parameters...)>(any);
    if constexpr (std::is_void_v<T>) {
      typed(Argument<std::decay_t<Parameters>>::read(given[Places])...);
      return Py_NewRef(Py_None);
    } else {
      return Result<T>::give(typed(Argument<std::decay_t<Parameters>>::read(given[Places])...));
    }
  };
  define(module, signature, {Argument<std::decay_t<Parameters>>::type()...}, Result<T>::type(),
         call, reinterpret_cast<AnyFunction>(function));
}

// Adds a function to the module: its signature is its name and those of its parameters, such as
// "copy(x, out)".
template <class T, class... Parameters>
void define(py::handle module, const char* signature, T (*function)(Parameters...)) {
  define(module, signature, function, std::index_sequence_for<Parameters...>{});
}

}  // namespace convkit::bindings
