// Threads: the only OpenMP in the library is behind parallel_for. Work is cut into tasks whose
// number and contents never depend on the thread count, each task writes its own part of the
// output, and so the bits of a result are the same for any number of threads.
#pragma once

#include <cstdint>
#include <type_traits>

namespace convkit::ops {

void set_num_threads(int n);
int num_threads();

// Threads that parallel_for uses for this many tasks of `work` element operations together; 1 for
// little work, and in a forked child, whose copy of the OpenMP runtime has lost its threads and
// would wait for them for ever.
int threads_for(std::int64_t tasks, std::int64_t work);

using TaskFunction = void (*)(void* context, std::int64_t task, int thread);
void run_tasks(std::int64_t tasks, int threads, TaskFunction f, void* context);

// Calls f(task, thread) for each task in [0, tasks), thread < threads_for(tasks, work). f must not
// throw. work: about how many elements all the tasks read, compute or write (of a matrix product,
// the vector operations).
template <class F>
void parallel_for(std::int64_t tasks, std::int64_t work, F&& f) {
  using Function = std::remove_reference_t<F>;
  run_tasks(
      tasks, threads_for(tasks, work),
      [](void* context, std::int64_t task, int thread) {
        (*static_cast<Function*>(context))(task, thread);
      },
      const_cast<void*>(static_cast<const void*>(&f)));
}

inline std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

inline std::int64_t round_up(std::int64_t n, std::int64_t multiple) {
  return ceil_div(n, multiple) * multiple;
}

// Cuts [0, n) into pieces of `size` and calls f(begin, end) for each; `weight` is the work of one
// of the n.
template <class F>
void parallel_ranges(std::int64_t n, std::int64_t size, std::int64_t weight, F&& f) {
  parallel_for(ceil_div(n, size), n * weight, [&](std::int64_t i, int) {
    const std::int64_t begin = i * size;
    f(begin, begin + size < n ? begin + size : n);
  });
}

}  // namespace convkit::ops
