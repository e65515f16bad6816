#include "model_lock.h"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <new>
#include <stdexcept>

#include "array.h"
#include "gil.h"

namespace convkit::bindings {
namespace {

using Clock = std::chrono::steady_clock;

// How long Ctrl-C may have to wait for a thread that waits.
constexpr std::chrono::milliseconds kPatience{20};

std::atomic<std::uint64_t> forks{0};
void count_fork() { ++forks; }

// The thread that Python calls the handlers of signals in.
bool is_main_thread() {
  const py::object main = py::module_::import("threading").attr("main_thread")();
  return main.attr("ident").cast<unsigned long>() == PyThread_get_thread_ident();
}

// May be asked without the GIL.
bool is_finalizing() {
#if PY_VERSION_HEX >= 0x030D0000
  return Py_IsFinalizing() != 0;
#else
  return _Py_IsFinalizing() != 0;
#endif
}

// Anew, whoever may be in the middle of using it.
template <class T>
void renew(T& object) {
  new (&object) T();
}

}  // namespace

// Holds the lock to the end of its scope.
class ModelLock::Held {
 public:
  Held(ModelLock& lock, Mode mode) : lock_(lock), mode_(mode) { lock.lock(mode, -1.0); }
  ~Held() { lock_.unlock(mode_); }
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;

 private:
  ModelLock& lock_;
  const Mode mode_;
};

// Says to the end of its scope that the calling thread trains.
class ModelLock::Training {
 public:
  explicit Training(ModelLock& lock) : lock_(lock) {
    lock.renew_after_fork();
    const std::lock_guard guard(lock.mutex_);
    const Thread me = PyThread_get_thread_ident();
    if (lock.trainings_ && lock.trainer_ != me)
      throw std::runtime_error("model \"" + lock.name_ +
                               "\" is being trained by another thread; wait for it, or use a "
                               "model of its own in each thread");
    lock.trainer_ = me;
    ++lock.trainings_;
  }
  ~Training() {
    lock_.renew_after_fork();
    const std::lock_guard guard(lock_.mutex_);
    --lock_.trainings_;
  }
  Training(const Training&) = delete;
  Training& operator=(const Training&) = delete;

 private:
  ModelLock& lock_;
};

void ModelLock::renew_after_fork() {
  if (generation_ == forks.load()) return;
  generation_ = forks.load();
  renew(mutex_);
  renew(changed_);
  queue_.clear();
  const Thread me = PyThread_get_thread_ident();
  if (writer_ != me) writes_ = 0;
  if (trainer_ != me) trainings_ = 0;
  const auto mine = reads_.find(me);
  const int reads = mine == reads_.end() ? 0 : mine->second;
  reads_.clear();
  if (reads) reads_[me] = reads;
}

bool ModelLock::enter_again(Thread me, Mode mode) {
  const bool writes = writes_ && writer_ == me, reads = reads_.count(me) != 0;
  if (!writes && !reads) return false;
  if (!writes && mode == Mode::kWrite)
    throw std::runtime_error("model \"" + name_ +
                             "\" is in use by this very thread, in a function that must not "
                             "change it; change it when that has returned");
  enter(me, mode);
  return true;
}

bool ModelLock::is_free(Mode mode) const {
  return !writes_ && (mode == Mode::kRead || reads_.empty());
}

void ModelLock::enter(Thread me, Mode mode) {
  if (mode == Mode::kRead) {
    ++reads_[me];
  } else {
    writer_ = me;
    ++writes_;
  }
}

bool ModelLock::lock(Mode mode, double timeout) {
  renew_after_fork();
  {
    const std::lock_guard guard(mutex_);
    const Thread me = PyThread_get_thread_ident();
    if (enter_again(me, mode)) return true;
    if (queue_.empty() && is_free(mode)) {
      enter(me, mode);
      return true;
    }
  }
  return timeout != 0.0 && wait(mode, timeout);
}

// Waits in the queue, for ever where the timeout is negative. The main thread steps aside now and
// then to let Python handle signals, whose handlers may use the model, and comes back with the
// ticket it had. Others do when Python ends, which lets them go no further.
bool ModelLock::wait(Mode mode, double timeout) {
  const Thread me = PyThread_get_thread_ident();
  const bool handles_signals = is_main_thread();
  const auto end = Clock::now() + std::chrono::duration<double>(std::max(timeout, 0.0));
  std::uint64_t ticket = 0;
  {
    const std::lock_guard guard(mutex_);
    ticket = tickets_++;
  }
  for (;;) {
    PyThreadState* state = PyEval_SaveThread();
    bool entered = false;
    {
      std::unique_lock guard(mutex_);
      queue_.insert(ticket);
      do {
        entered = changed_.wait_for(guard, kPatience, [&] {
          return *queue_.begin() == ticket && is_free(mode) && !is_finalizing();
        });
      } while (!entered && !handles_signals && !is_finalizing() &&
               !(timeout >= 0.0 && Clock::now() >= end));
      queue_.erase(ticket);
      if (entered) enter(me, mode);
      changed_.notify_all();  // who is next now may not have to wait either
    }
    take_gil(state);
    if (entered) return true;
    if (PyErr_CheckSignals() != 0) throw py::error_already_set();
    if (timeout >= 0.0 && Clock::now() >= end) return false;
  }
}

void ModelLock::unlock(Mode mode) {
  renew_after_fork();
  const std::lock_guard guard(mutex_);
  if (mode == Mode::kWrite) {
    --writes_;
  } else {
    const auto mine = reads_.find(PyThread_get_thread_ident());
    if (mine != reads_.end() && --mine->second == 0) reads_.erase(mine);
  }
  changed_.notify_all();
}

py::object ModelLock::read(const py::object& function, const py::args& arguments,
                           const py::kwargs& options) {
  const Held held(*this, Mode::kRead);
  return call_python(function, arguments, options);
}

py::object ModelLock::write(const py::object& function, const py::args& arguments,
                            const py::kwargs& options) {
  const Held held(*this, Mode::kWrite);
  return call_python(function, arguments, options);
}

py::object ModelLock::train(const py::object& function, const py::args& arguments,
                            const py::kwargs& options) {
  const Training training(*this);
  return call_python(function, arguments, options);
}

bool ModelLock::acquire(bool blocking, double timeout) {
  return lock(Mode::kWrite, blocking ? timeout : 0.0);
}

void ModelLock::release() {
  renew_after_fork();
  {
    const std::lock_guard guard(mutex_);
    if (!writes_ || writer_ != PyThread_get_thread_ident())
      throw std::runtime_error("cannot release a lock that this thread does not hold");
  }
  unlock(Mode::kWrite);
}

bool ModelLock::is_training() {
  renew_after_fork();
  const std::lock_guard guard(mutex_);
  return trainings_ != 0;
}

void bind_model_lock(py::module_& m) {
  pthread_atfork(nullptr, nullptr, count_fork);
  py::class_<ModelLock>(m, "ModelLock", py::metaclass(reinterpret_cast<PyObject*>(&PyType_Type)))
      .def(py::init<std::string>(), py::arg("name"))
      .def("read", &ModelLock::read)
      .def("write", &ModelLock::write)
      .def("train", &ModelLock::train)
      .def("acquire", &ModelLock::acquire, py::arg("blocking") = true, py::arg("timeout") = -1.0)
      .def("release", &ModelLock::release)
      .def_property_readonly("is_training", &ModelLock::is_training);
}

}  // namespace convkit::bindings
