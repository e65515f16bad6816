// Threads: the only OpenMP in the library is behind parallel_for. Work is cut into tasks whose
// number and contents never depend on the thread count, each task writes its own part of the
// output, and so the bits of a result are the same for any number of threads.
#pragma once

#include <cstdint>
#include <type_traits>

namespace convkit::ops {

void set_num_threads(int n);
int num_threads();

// Threads that parallel_for uses for this many tasks; 1 in a forked child, whose copy of the OpenMP
// runtime has lost its threads and would wait for them for ever.
int threads_for(std::int64_t tasks);

using TaskFunction = void (*)(void* context, std::int64_t task, int thread);
void run_tasks(std::int64_t tasks, TaskFunction f, void* context);

// Calls f(task, thread) for each task in [0, tasks), thread < threads_for(tasks). f must not throw.
template <class F>
void parallel_for(std::int64_t tasks, F&& f) {
  using Function = std::remove_reference_t<F>;
  run_tasks(
      tasks,
      [](void* context, std::int64_t task, int thread) {
        (*static_cast<Function*>(context))(task, thread);
      },
      const_cast<void*>(static_cast<const void*>(&f)));
}

inline std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

inline std::int64_t round_up(std::int64_t n, std::int64_t multiple) {
  return ceil_div(n, multiple) * multiple;
}

// Cuts [0, n) into pieces of `size` and calls f(begin, end) for each.
template <class F>
void parallel_ranges(std::int64_t n, std::int64_t size, F&& f) {
  parallel_for(ceil_div(n, size), [&](std::int64_t i, int) {
    const std::int64_t begin = i * size;
    f(begin, begin + size < n ? begin + size : n);
  });
}

}  // namespace convkit::ops
