// How a thread waits for others: it looks out for a while, and then sleeps.
#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>

#include "trace.h"

namespace convkit::ops {

inline void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// How long a thread looks out for what will come soon before it sleeps: looking out is answered at
// once, and sleeping leaves the core to others. Where others had the core in between, it looks out
// for less long from then on.
class Patience {
 public:
  // The calling thread's.
  static Patience& of_thread() {
    thread_local Patience patience;
    return patience;
  }

  // Whether ready() came true in that time.
  template <class Ready>
  bool spin(const Ready& ready) {
    std::int64_t last = Trace::now();
    bool is_ready = false;
    for (const std::int64_t end = last + limit_; !is_ready && last < end;) {
      for (int i = 0; i < 32 && !is_ready; ++i) {
        relax();
        is_ready = ready();
      }
      const std::int64_t now = Trace::now();
      if (now - last > kInterruption) {
        limit_ = std::max(limit_ / 4, kLeast);
        return is_ready || ready();
      }
      last = now;
    }
    limit_ = std::min(limit_ + limit_ / 4, kMost);
    return is_ready;
  }

 private:
  // Nanoseconds.
  static constexpr std::int64_t kLeast = 2'000, kMost = 100'000, kInterruption = 30'000;

  std::int64_t limit_ = kMost;
};

// What threads sleep on.
class Bell {
 public:
  template <class Ready>
  void wait(const Ready& ready) {
    std::unique_lock<std::mutex> lock(mutex_);
    asleep_.fetch_add(1);
    rung_.wait(lock, ready);
    asleep_.fetch_sub(1);
  }

  // To be called after what makes a sleeper's ready() come true.
  void ring() {
    if (asleep_.load() == 0) return;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
    }  // They are asleep, not about to be.
    rung_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable rung_;
  std::atomic<int> asleep_{0};
};

}  // namespace convkit::ops
