// Who may use a model. Steps of a training change its weights, and everything else reads them: so
// there is a lock for readers and writers, held for a batch at a time. And one thread at a time may
// train, which others are told at once instead of letting them wait for a whole training.
//
// The lock is held while a function runs, and given back in C++: an exception that comes from
// outside, such as the KeyboardInterrupt of Ctrl-C, finds no place between taking it and the
// beginning of the function.
#pragma once

#include <pybind11/pybind11.h>

#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <set>
#include <string>

namespace convkit::bindings {

namespace py = pybind11;

class ModelLock {
 public:
  enum class Mode { kRead, kWrite };

  explicit ModelLock(std::string name) : name_(std::move(name)) {}

  // Each returns function(*arguments, **options).
  //
  // read: others may read meanwhile. write: nobody else uses the model. Both let others wait, first
  // come, first served; within a function that writes, its thread may do both. Writing within a
  // function that only reads would wait for itself, and raises RuntimeError.
  py::object read(const py::object& function, const py::args& arguments, const py::kwargs& options);
  py::object write(const py::object& function, const py::args& arguments,
                   const py::kwargs& options);
  // The calling thread trains; raises RuntimeError where another one does.
  py::object train(const py::object& function, const py::args& arguments,
                   const py::kwargs& options);

  // As those of threading.RLock, for writing.
  bool acquire(bool blocking, double timeout);
  void release();
  // Whether some thread trains.
  bool is_training();

 private:
  using Thread = unsigned long;
  class Held;
  class Training;

  // What fork leaves behind of the other threads is forgotten.
  void renew_after_fork();
  // Whether the thread holds the lock already, which it then does once more.
  bool enter_again(Thread me, Mode mode);
  bool is_free(Mode mode) const;
  void enter(Thread me, Mode mode);
  bool lock(Mode mode, double timeout);
  bool wait(Mode mode, double timeout);
  void unlock(Mode mode);

  const std::string name_;
  std::uint64_t generation_ = 0;  // of forks
  // Guards what follows. Whoever holds it does not wait for the GIL.
  std::mutex mutex_;
  std::condition_variable changed_;
  std::set<std::uint64_t> queue_;  // the tickets of those who wait; the lowest is next
  std::uint64_t tickets_ = 0;      // given out so far
  Thread writer_ = 0;
  int writes_ = 0;               // how often the writer holds it
  std::map<Thread, int> reads_;  // how often each reader does, the writer among them
  Thread trainer_ = 0;
  int trainings_ = 0;
};

}  // namespace convkit::bindings
