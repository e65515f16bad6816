#include "parallel.h"

#include <omp.h>
#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include "../dispatch/settings.h"
#include "scratch.h"
#include "waiting.h"

namespace convkit::ops {

// Neighbouring tasks of one thread, whose data it has near or fetches ahead.
struct alignas(64) Share {
  std::atomic<std::int64_t> next;
  std::int64_t end;
};

namespace {

// Element operations that are worth a thread: some microseconds, as long as it takes to wake one.
constexpr std::int64_t kWorkPerThread = 1 << 14;
// As many as runtime.set_num_threads takes.
constexpr int kMostThreads = 4096;

// An operation's tasks, on the stack of the thread that called it.
struct Job {
  Job(ThreadFunction body, void* context, Share* shares, int share_count, int threads, Trace* trace)
      : body(body),
        context(context),
        shares(shares),
        share_count(share_count),
        threads(threads),
        settings(convkit::settings()),
        trace(trace),
        loop(trace ? trace->next_loop() : 0) {}

  // Does tasks, as the thread of that number, until none is left.
  void work(int thread) {
    const TaskMemory own;
    const WorkerScope worker(settings);
    Tasks mine(shares, share_count, thread, trace, loop);
    try {
      body(context, mine);
    } catch (...) {
      if (!failed.test_and_set()) error = std::current_exception();
    }
  }

  const ThreadFunction body;
  void* const context;
  Share* const shares;
  const int share_count, threads;
  const Settings settings;
  Trace* const trace;
  const std::int64_t loop;
  std::exception_ptr error;
  std::atomic_flag failed = ATOMIC_FLAG_INIT;
};

// A thread that helps those that call operations. Whoever calls puts a job here, does tasks itself,
// and takes the job back when no task is left: it waits for a helper only once that has begun. So a
// thread that comes late, since another program has its core, holds nobody up.
class alignas(128) Helper {
 public:
  // Whether it was free.
  bool offer(Job& job) {
    std::byte* free = kFree;
    if (!state_.compare_exchange_strong(free, offered(job))) return false;
    offered_.ring();
    return true;
  }

  // Takes a job back that was perhaps offered, and waits for the end of one that was begun.
  void withdraw(Job& job, Patience& patience) {
    std::byte* state = offered(job);
    if (state_.compare_exchange_strong(state, kFree) || state != begun(job)) return;
    const auto is_left = [&] { return state_.load() != begun(job); };
    if (!patience.spin(is_left)) left_.wait(is_left);
  }

  [[noreturn]] void help(int share) {
    for (Patience patience;;) {
      const auto is_offered = [&] { return state_.load() != kFree; };
      if (!patience.spin(is_offered)) offered_.wait(is_offered);
      std::byte* state = state_.load();
      if (state == kFree || !state_.compare_exchange_strong(state, state + 1)) continue;
      Job& job = *reinterpret_cast<Job*>(state);
      job.work(share % job.threads);
      state_.store(kFree);
      left_.ring();
    }
  }

 private:
  static constexpr std::byte* kFree = nullptr;
  static std::byte* offered(Job& job) { return reinterpret_cast<std::byte*>(&job); }
  static std::byte* begun(Job& job) { return offered(job) + 1; }

  std::atomic<std::byte*> state_{kFree};  // or the address of a job, or the one behind it
  Bell offered_, left_;
};

// How many of so many threads the system grants at once. They end before this returns.
int try_threads(int wanted) {
  std::vector<std::thread> threads;
  bool open = false;
  std::mutex mutex;
  std::condition_variable opened;
  threads.reserve(wanted);
  for (bool is_granted = true; is_granted && static_cast<int>(threads.size()) < wanted;) {
    try {
      threads.emplace_back([&] {
        std::unique_lock<std::mutex> lock(mutex);
        opened.wait(lock, [&] { return open; });
      });
    } catch (const std::system_error&) {
      is_granted = false;
    }
  }
  {
    const std::lock_guard<std::mutex> lock(mutex);
    open = true;
  }
  opened.notify_all();
  for (std::thread& each : threads) each.join();
  return static_cast<int>(threads.size());
}

// The process's helpers: the threads of an OpenMP team that is in one parallel region to the end of
// the process. So OpenMP makes them, and binds them to places, but how they wait is our own: at the
// end of a region OpenMP waits for every thread of the team, whether it has had a task or not.
class Helpers {
 public:
  int count() const { return count_.load(std::memory_order_acquire); }
  Helper& operator[](int i) { return *helpers_[i]; }

  // Makes as many as that, or fewer where the system does not grant them.
  void need(int wanted) {
    if (wanted <= asked_.load(std::memory_order_relaxed)) return;
    std::unique_lock<std::mutex> lock(mutex_);
    const int first = count_.load();
    if (wanted <= asked_.exchange(std::max(wanted, asked_.load()))) return;
    // The OpenMP runtime ends the process where it cannot make its threads. As many again must be
    // granted, for what else needs memory.
    const int more = std::min(wanted - first, try_threads(2 * (wanted - first) + 2) / 2 - 1);
    if (more < 1) return;
    for (int i = first; i < first + more; ++i) helpers_[i] = new Helper;
    try {
      std::thread(&Helpers::conduct, this, first, more).detach();
    } catch (const std::system_error&) {
      return;
    }
    made_.wait(lock, [&, before = teams_] { return teams_ > before; });
  }

 private:
  // The life of a thread that does nothing but hold a team together: in the place of the thread
  // that calls operations, whose share is the first.
  [[noreturn]] void conduct(int first, int count) {
#pragma omp parallel num_threads(count + 1)
    if (const int thread = omp_get_thread_num()) {
      helpers_[first + thread - 1]->help(first + thread);
    } else {
      {
        const std::lock_guard<std::mutex> lock(mutex_);
        count_.store(first + omp_get_num_threads() - 1, std::memory_order_release);
        ++teams_;
      }
      made_.notify_one();
      for (;;) ::pause();
    }
    std::abort();  // nobody leaves the region
  }

  std::mutex mutex_;
  std::condition_variable made_;
  int teams_ = 0;
  std::atomic<int> asked_{0}, count_{0};
  Helper* helpers_[kMostThreads] = {};
};

// Of the process; a forked child, which the threads do not come along to, begins with new ones.
Helpers* helpers = nullptr;

void after_fork_in_child() {
  helpers = new Helpers;
  settings_after_fork();
}

}  // namespace

bool Tasks::take(std::int64_t* task) {
  for (; done_ < share_count_; ++done_) {
    Share& share = shares_[(thread_ + done_) % share_count_];
    *task = share.next.fetch_add(1, std::memory_order_relaxed);
    if (*task < share.end) return true;
  }
  return false;
}

bool Tasks::peek(std::int64_t* task) const {
  *task = shares_[0].next.load(std::memory_order_relaxed);
  return *task < shares_[0].end;
}

bool Tasks::claim(std::int64_t task) {
  if (!shares_[0].next.compare_exchange_strong(task, task + 1)) return false;
  if (trace_) task_ = task, begin_ = Trace::now();
  return true;
}

bool Tasks::next_traced(std::int64_t* task) {
  if (begin_) add_to_trace(task_);
  if (!take(task)) return false;
  task_ = *task;
  begin_ = Trace::now();
  return true;
}

void Tasks::add_to_trace(std::int64_t task) {
  const std::int64_t now = Trace::now();
  trace_->add(loop_, task, thread_, begin_, now);
  begin_ = now;
}

int num_threads() { return settings().threads; }

int bound_processors() {
  if (omp_get_proc_bind() == omp_proc_bind_false) return 0;
  std::vector<int> all, own;
  for (int place = 0; place < omp_get_num_places(); ++place) {
    own.resize(omp_get_place_num_procs(place));
    omp_get_place_proc_ids(place, own.data());
    all.insert(all.end(), own.begin(), own.end());
  }
  std::sort(all.begin(), all.end());  // places may overlap
  return static_cast<int>(std::unique(all.begin(), all.end()) - all.begin());
}

int threads_for(std::int64_t tasks, std::int64_t work) {
  const std::int64_t most = std::max<std::int64_t>(std::min(tasks, work / kWorkPerThread), 1);
  return static_cast<int>(std::min<std::int64_t>(num_threads(), most));
}

bool leaves_idle(int threads, std::int64_t tasks) {
  return threads >= kManyThreads && tasks % threads != 0;
}

void begin_threads() {
  helpers = new Helpers;
  pthread_atfork(nullptr, nullptr, after_fork_in_child);
}

void run_threads(std::int64_t tasks, int threads, ThreadFunction body, void* context, Order order) {
  if (TaskMemory::is_in_use()) threads = 1;  // within another operation's task
  Trace* const trace = TaskMemory::is_in_use() ? nullptr : Trace::current();
  const int meant = threads;
  if (trace && trace->one_thread) threads = 1;
  if (threads > 1) helpers->need(threads - 1);
  Scratch scratch;
  const int share_count = order == Order::kInTurn ? 1 : threads;
  Share* shares = scratch.take<Share>(share_count);
  for (int i = 0; i < share_count; ++i)
    new (shares + i) Share{{i * tasks / share_count}, (i + 1) * tasks / share_count};
  Job job(body, context, shares, share_count, threads, trace);
  const std::int64_t begin = trace ? Trace::now() : 0;
  const int all = threads > 1 ? helpers->count() : 0;
  int end = 0;
  for (int offered = 1; offered < threads && end < all; ++end)
    offered += (*helpers)[end].offer(job);
  job.work(0);
  for (int i = 0; i < end; ++i) (*helpers)[i].withdraw(job, Patience::of_thread());
  if (trace) trace->add(job.loop, TraceRow::kWhole, meant, begin, Trace::now());
  if (job.error) std::rethrow_exception(job.error);
}

}  // namespace convkit::ops
