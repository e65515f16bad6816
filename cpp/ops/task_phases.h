// Loops of which one need not wait for the end of the other: a thread that finds no more tasks in
// one phase goes on with the next, whose tasks wait only for those that they need.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <new>
#include <type_traits>

#include "parallel.h"
#include "scratch.h"

namespace convkit::ops {

// TaskPhases of one loop. Each has groups of tasks, all of the same size. Threads take all tasks in
// order, phase by phase, group by group; so what a task waits for has been begun by others, and a
// single thread never waits.
class TaskPhases {
 public:
  // What the tasks of a group need: a whole phase before, or its group of the same number.
  struct Need {
    int phase;
    bool own_group = false;
  };

  // At most so many phases.
  TaskPhases(int most, Scratch& scratch);

  // A phase that calls f(group, i, memory) for i in [0, size) of each group; f must be trivially
  // destructible. memory: floats that each thread has for its tasks alone. Returns the number of
  // the phase.
  template <class F>
  int add(std::int64_t groups, std::int64_t size, std::int64_t memory,
          std::initializer_list<Need> needs, const F& f) {
    static_assert(std::is_trivially_destructible_v<F>);
    const F* kept = new (scratch_.take<F>(1)) F(f);
    return add(groups, size, memory, needs, kept,
               [](const void* context, std::int64_t group, std::int64_t i, float* own) {
                 (*static_cast<const F*>(context))(group, i, own);
               });
  }

  // Runs all of them; `work` as parallel_for has it.
  void run(std::int64_t work);

 private:
  static constexpr int kMostNeeds = 4;

  struct Counter;  // of a group's tasks that are left
  using Call = void (*)(const void* context, std::int64_t group, std::int64_t i, float* memory);
  struct Phase {
    const void* context;
    Call call;
    std::int64_t groups, size;
    std::int64_t begin;    // its first task
    std::int64_t counter;  // its first group's
    Need needs[kMostNeeds];
    int need_count;
  };
  struct Loop;

  int add(std::int64_t groups, std::int64_t size, std::int64_t memory,
          std::initializer_list<Need> needs, const void* context, Call call);
  void describe(Trace& trace, std::int64_t loop) const;

  Scratch& scratch_;
  Phase* phases_;
  int count_ = 0;
  std::int64_t tasks_ = 0, counters_ = 0, memory_ = 0;
};

}  // namespace convkit::ops
