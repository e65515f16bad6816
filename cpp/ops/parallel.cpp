#include "parallel.h"

#include <omp.h>
#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <new>

#include "scratch.h"

namespace convkit::ops {
namespace {

// Element operations that are worth a thread: some microseconds, as long as it takes to wake one.
constexpr std::int64_t kWorkPerThread = 1 << 14;

std::atomic<int> configured_threads{1};
std::atomic<bool> forked{false};
std::atomic<bool> runtime_started{false};

void after_fork_in_child() {
  if (runtime_started.load()) forked.store(true);
}

}  // namespace

// Neighbouring tasks of one thread, whose data it has near or fetches ahead.
struct alignas(64) Share {
  std::atomic<std::int64_t> next;
  std::int64_t end;
};

bool Tasks::next(std::int64_t* task) {
  for (; done_ < threads_; ++done_) {
    Share& share = shares_[(thread_ + done_) % threads_];
    *task = share.next.fetch_add(1, std::memory_order_relaxed);
    if (*task < share.end) return true;
  }
  return false;
}

void set_num_threads(int n) {
  static const int registered = pthread_atfork(nullptr, nullptr, after_fork_in_child);
  (void)registered;
  configured_threads.store(std::max(n, 1));
}

int num_threads() { return forked.load() ? 1 : configured_threads.load(); }

int threads_for(std::int64_t tasks, std::int64_t work) {
  const std::int64_t most = std::max<std::int64_t>(std::min(tasks, work / kWorkPerThread), 1);
  return static_cast<int>(std::min<std::int64_t>(num_threads(), most));
}

void run_threads(std::int64_t tasks, int threads, ThreadFunction body, void* context) {
  if (threads == 1) {
    const TaskMemory own;
    Share all{{0}, tasks};
    Tasks mine(&all, 1, 0);
    return body(context, mine);
  }
  runtime_started.store(true);
  Scratch scratch;
  Share* shares = scratch.take<Share>(threads);
  for (int i = 0; i < threads; ++i)
    new (shares + i) Share{{i * tasks / threads}, (i + 1) * tasks / threads};
  std::exception_ptr error;
  std::atomic_flag failed = ATOMIC_FLAG_INIT;
#pragma omp parallel num_threads(threads)
  {
    const TaskMemory own;
    Tasks mine(shares, threads, omp_get_thread_num());
    try {
      body(context, mine);
    } catch (...) {
      if (!failed.test_and_set()) error = std::current_exception();
    }
  }
  if (error) std::rethrow_exception(error);
}

}  // namespace convkit::ops
