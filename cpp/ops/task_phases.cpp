#include "task_phases.h"

#include <algorithm>
#include <atomic>

#include "trace.h"
#include "waiting.h"

namespace convkit::ops {

struct alignas(64) TaskPhases::Counter {
  std::atomic<std::int64_t> left;
};

// While it runs.
struct TaskPhases::Loop {
  Loop(const TaskPhases& phases, Counter* counters) : phases(phases), counters(counters) {}

  const TaskPhases& phases;
  Counter* counters;
  std::atomic<bool> failed{false}, is_described{false};
  Bell done;

  // Does tasks until none is left. A task is taken only when it may begin: a thread that another
  // program keeps from working holds no task that others wait for, unless it has begun it.
  void work(Tasks& mine) {
    if (mine.trace() && !is_described.exchange(true)) phases.describe(*mine.trace(), mine.loop());
    std::int64_t task;
    if (!mine.peek(&task)) return;
    Scratch scratch;
    float* memory = scratch.take(phases.memory_);
    const Phase* phase = phases.phases_;
    while (mine.peek(&task)) {
      while (task >= phase->begin + phase->groups * phase->size) ++phase;
      const std::int64_t group = (task - phase->begin) / phase->size;
      if (!wait_for(*phase, group, task, mine)) return;
      if (!mine.claim(task)) continue;
      phase->call(phase->context, group, (task - phase->begin) % phase->size, memory);
      mine.ended();
      if (counters[phase->counter + group].left.fetch_sub(1) == 1) done.ring();
    }
  }

  // Until that task, the next one of all, may begin, or has been taken; whether all is well.
  bool wait_for(const Phase& phase, std::int64_t group, std::int64_t task, const Tasks& mine) {
    const auto is_over = [&] {
      std::int64_t next;
      return failed.load() || is_ready(phase, group) || !mine.peek(&next) || next != task;
    };
    if (!is_over() && !Patience::of_thread().spin(is_over)) done.wait(is_over);
    return !failed.load();
  }

  bool is_ready(const Phase& phase, std::int64_t group) const {
    for (int i = 0; i < phase.need_count; ++i) {
      const Phase& needed = phases.phases_[phase.needs[i].phase];
      const bool own = phase.needs[i].own_group;
      const std::int64_t last = own ? group + 1 : needed.groups;
      for (std::int64_t g = own ? group : 0; g < last; ++g)
        if (counters[needed.counter + g].left.load() > 0) return false;
    }
    return true;
  }

  void fail() {
    failed.store(true);
    done.ring();
  }
};

TaskPhases::TaskPhases(int most, Scratch& scratch)
    : scratch_(scratch), phases_(scratch.take<Phase>(most)) {}

int TaskPhases::add(std::int64_t groups, std::int64_t size, std::int64_t memory,
                    std::initializer_list<Need> needs, const void* context, Call call) {
  Phase phase = {context, call, groups, size, tasks_, counters_, {}, 0};
  for (const Need& need : needs)
    if (need.phase >= 0) phase.needs[phase.need_count++] = need;
  new (phases_ + count_) Phase(phase);
  tasks_ += groups * size;
  counters_ += groups;
  memory_ = std::max(memory_, memory);
  return count_++;
}

void TaskPhases::run(std::int64_t work) {
  if (tasks_ == 0) return;
  Scratch scratch;
  Loop loop(*this, scratch.take<Counter>(counters_));
  for (int i = 0; i < count_; ++i)
    for (std::int64_t g = 0; g < phases_[i].groups; ++g)
      new (loop.counters + phases_[i].counter + g) Counter{{phases_[i].size}};
  const auto body = [](void* context, Tasks& mine) {
    Loop& all = *static_cast<Loop*>(context);
    try {
      all.work(mine);
    } catch (...) {
      all.fail();
      throw;
    }
  };
  run_threads(tasks_, threads_for(tasks_, work), body, &loop, Order::kInTurn);
}

// So that a schedule can be simulated.
void TaskPhases::describe(Trace& trace, std::int64_t loop) const {
  for (int i = 0; i < count_; ++i) {
    const Phase& phase = phases_[i];
    trace.add(loop, TraceRow::kPhase, i, phase.groups, phase.size);
    for (int j = 0; j < phase.need_count; ++j)
      trace.add(loop, TraceRow::kNeed, i, phase.needs[j].phase, phase.needs[j].own_group);
  }
}

}  // namespace convkit::ops
