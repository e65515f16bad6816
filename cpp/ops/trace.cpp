#include "trace.h"

#include <atomic>
#include <chrono>

namespace convkit::ops {
namespace {

std::atomic<Trace*> the_current{nullptr};

}  // namespace

void Trace::set_current(Trace* trace) { the_current.store(trace); }
Trace* Trace::current() { return the_current.load(std::memory_order_relaxed); }

std::int64_t Trace::now() {
  const auto since = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::nanoseconds>(since).count();
}

void Trace::set_step(std::int64_t step) {
  const std::lock_guard<std::mutex> lock(mutex_);
  step_ = step;
}

std::int64_t Trace::next_loop() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return loops_++;
}

void Trace::add(std::int64_t loop, std::int64_t task, std::int64_t thread, std::int64_t begin,
                std::int64_t end) {
  const std::lock_guard<std::mutex> lock(mutex_);
  rows_.push_back({step_, loop, task, thread, begin, end});
}

std::vector<TraceRow> Trace::rows() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return rows_;
}

}  // namespace convkit::ops
