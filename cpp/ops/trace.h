// A record of which thread did which task when, from which benchmarks draw and simulate schedules.
#pragma once

#include <cstdint>
#include <mutex>
#include <vector>

namespace convkit::ops {

struct TraceRow {
  // What `task` is where it is none: what a thread does before its first task; the whole of a
  // parallel_for, whose `thread` is the number of those that it is meant for; the replay of
  // captured calls, which is in no loop. Of a loop of phases: how many groups (in the place of
  // `begin`) of how many tasks (of `end`) the phase `thread` has; and which phase (`begin`) it
  // needs, the group of the same number alone or all of them (`end`).
  static constexpr std::int64_t kPrepare = -1, kWhole = -2, kReplay = -3, kPhase = -4, kNeed = -5;

  std::int64_t step;  // as set_step() named it
  std::int64_t loop;  // the parallel_for's number
  std::int64_t task, thread;
  std::int64_t begin, end;  // nanoseconds of a steady clock
};

class Trace {
 public:
  // one_thread: one does the tasks that are cut for as many as there are.
  explicit Trace(bool one_thread) : one_thread(one_thread) {}

  // Of all operations of the process from now on, or null for none. Who computes meanwhile may
  // still write to the one before.
  static void set_current(Trace* trace);
  static Trace* current();
  static std::int64_t now();

  void set_step(std::int64_t step);
  std::int64_t next_loop();
  void add(std::int64_t loop, std::int64_t task, std::int64_t thread, std::int64_t begin,
           std::int64_t end);
  std::vector<TraceRow> rows();

  const bool one_thread;

 private:
  std::mutex mutex_;
  std::int64_t step_ = 0, loops_ = 0;
  std::vector<TraceRow> rows_;
};

}  // namespace convkit::ops
