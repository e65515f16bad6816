// Threads: the only OpenMP in the library is behind parallel_for. Each task writes its own part of
// the output, and how a value is computed never depends on the thread count: so the bits of a
// result are the same for any number of threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "extent.h"
#include "scratch.h"
#include "trace.h"

namespace convkit::ops {

// The threads of the operation that the calling thread is in.
int num_threads();

// The processors that OpenMP binds threads to, over all its places; 0 where it binds none.
int bound_processors();

// Threads that parallel_for uses for this many tasks of `work` element operations together; 1 for
// little work.
int threads_for(std::int64_t tasks, std::int64_t work);

// From so many threads on, weights are transformed once for all of them.
constexpr int kSharingThreads = 3;

// From so many threads on, work is cut finer.
constexpr int kManyThreads = 5;

// Whether some of many threads would have no work before the end of so many equal tasks. Finer
// tasks make more work together, a tenth or so, which is less than what they would wait.
bool leaves_idle(int threads, std::int64_t tasks);

// To be called once, before the first operation.
void begin_threads();

struct Share;

// The tasks that are left for a thread: those of its own share, then those that others have not
// begun.
class Tasks {
 public:
  Tasks(Share* shares, int share_count, int thread, Trace* trace, std::int64_t loop)
      : shares_(shares), share_count_(share_count), thread_(thread), trace_(trace), loop_(loop) {}

  // Whether there was one more, which is this thread's now.
  bool next(std::int64_t* task) {
    if (trace_) return next_traced(task);
    return take(task);
  }
  // To be called where a thread has what it needs for its first task.
  void prepared() {
    if (trace_) add_to_trace(TraceRow::kPrepare);
  }
  // Where tasks are taken in turn: whether there is one more; and whether that one is this thread's
  // now, and no other thread was faster.
  bool peek(std::int64_t* task) const;
  bool claim(std::int64_t task);
  // To be called where a thread has ended a task that others may wait for.
  void ended() {
    if (trace_) add_to_trace(task_), begin_ = 0;
  }
  // The record of what is done, or null.
  Trace* trace() const { return trace_; }
  std::int64_t loop() const { return loop_; }

 private:
  bool take(std::int64_t* task);
  bool next_traced(std::int64_t* task);
  void add_to_trace(std::int64_t task);

  Share* shares_;
  int share_count_, thread_, done_ = 0;
  Trace* trace_;
  std::int64_t loop_, task_ = -1, begin_ = 0;
};

// Which tasks a thread takes first: neighbours, or those that nobody has taken, in order.
enum class Order { kNeighbours, kInTurn };

// Runs body(context, tasks) in each thread, and throws the first exception that any of them threw.
using ThreadFunction = void (*)(void* context, Tasks& tasks);
void run_threads(std::int64_t tasks, int threads, ThreadFunction body, void* context,
                 Order order = Order::kNeighbours);

// Calls f(task, memory) for each task in [0, tasks). Every thread makes its `memory` before its
// first task, by prepare(scratch): with what it takes there, it alone works until the end. work:
// about how many elements all the tasks read, compute or write (of a matrix product, the vector
// operations).
template <class Prepare, class F>
void parallel_for(std::int64_t tasks, std::int64_t work, Prepare&& prepare, F&& f) {
  const auto both = std::pair<Prepare&, F&>(prepare, f);
  using Both = decltype(both);
  run_threads(
      tasks, threads_for(tasks, work),
      [](void* context, Tasks& mine) {
        const auto& [make, run] = *static_cast<Both*>(context);
        std::int64_t task;
        if (!mine.next(&task)) return;
        Scratch scratch;
        const auto memory = make(scratch);
        mine.prepared();
        do run(task, memory);
        while (mine.next(&task));
      },
      const_cast<void*>(static_cast<const void*>(&both)));
}

// Calls f(task) for each task in [0, tasks).
template <class F>
void parallel_for(std::int64_t tasks, std::int64_t work, F&& f) {
  parallel_for(
      tasks, work, [](Scratch&) { return nullptr; },
      [&](std::int64_t task, std::nullptr_t) { f(task); });
}

inline std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

inline std::int64_t round_up(std::int64_t n, std::int64_t multiple) {
  return ceil_div(n, multiple) * multiple;
}

// [0, total) in nearly even pieces of at most `most`: the size of all but the last.
inline std::int64_t even_share(std::int64_t total, std::int64_t most) {
  return ceil_div(total, ceil_div(total, most));
}

// Cuts [0, n) into pieces of `size` and calls f(begin, end) for each; `weight` is the work of one
// of the n.
template <class F>
void parallel_ranges(std::int64_t n, std::int64_t size, std::int64_t weight, F&& f) {
  parallel_for(ceil_div(n, size), product(n, weight), [&](std::int64_t i) {
    const std::int64_t begin = i * size;
    f(begin, begin + size < n ? begin + size : n);
  });
}

}  // namespace convkit::ops
