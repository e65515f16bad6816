#include "parallel.h"

#include <omp.h>
#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <memory>
#include <new>
#include <vector>

#include "../dispatch/settings.h"
#include "scratch.h"

#if defined(__GLIBC__) && !defined(KMP_VERSION_MAJOR)
// Of OpenMP 5.0: an older runtime that another package has loaded may lack it.
extern "C" int omp_pause_resource_all(omp_pause_resource_t kind) __attribute__((weak));
#endif

namespace convkit::ops {
namespace {

// Element operations that are worth a thread: some microseconds, as long as it takes to wake one.
constexpr std::int64_t kWorkPerThread = 1 << 14;

// Whether the OpenMP runtime may hold threads that a forked child would wait for.
std::atomic<bool> left_threads{false};
std::atomic<bool> lost_threads{false};

// The calling thread's team: as many threads as its largest region had.
thread_local int team = 1;

// The runtime keeps the forking thread's team for its next operation; whose library began it does
// not matter, where several share the runtime. So the team is sent home, and the child can make
// one of its own. LLVM's runtime does as much by itself.
void before_fork() {
  team = 1;
#if defined(__GLIBC__) && !defined(KMP_VERSION_MAJOR)
  left_threads.store(!omp_pause_resource_all || omp_pause_resource_all(omp_pause_hard) != 0);
#endif
}

void after_fork_in_child() {
  lost_threads.store(left_threads.load());
  settings_after_fork();
}

// Ends a team that try_threads() made.
struct Gate {
  pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  pthread_cond_t opened = PTHREAD_COND_INITIALIZER;
  bool open = false;
};

void* wait_at(void* gate_of_all) {
  Gate& gate = *static_cast<Gate*>(gate_of_all);
  pthread_mutex_lock(&gate.mutex);
  while (!gate.open) pthread_cond_wait(&gate.opened, &gate.mutex);
  pthread_mutex_unlock(&gate.mutex);
  return nullptr;
}

// How many of so many further threads the system grants at once. They end before this returns.
int try_threads(int wanted) {
  const std::unique_ptr<pthread_t[]> threads(new pthread_t[wanted]);
  Gate gate;
  int made = 0;
  while (made < wanted && pthread_create(&threads[made], nullptr, wait_at, &gate) == 0) ++made;
  pthread_mutex_lock(&gate.mutex);
  gate.open = true;
  pthread_cond_broadcast(&gate.opened);
  pthread_mutex_unlock(&gate.mutex);
  for (int i = 0; i < made; ++i) pthread_join(threads[i], nullptr);
  return made;
}

// The threads, of so many wanted, that may work: the team as it is, or grown by as many as the
// system grants, for the OpenMP runtime ends the process where it cannot make its threads.
int grow_team(int wanted) {
  team = std::min(team, settings().threads);
  if (wanted > team) {
    const int made = try_threads(wanted - 1);
    // Where not all are granted, the rest is for what else needs memory.
    team = made == wanted - 1 ? wanted : std::max(team, 1 + made / 2);
  }
  return std::min(wanted, team);
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

int num_threads() { return lost_threads.load() ? 1 : settings().threads; }

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

void watch_forks() { pthread_atfork(before_fork, nullptr, after_fork_in_child); }

void run_threads(std::int64_t tasks, int threads, ThreadFunction body, void* context) {
  threads = grow_team(threads);
  if (threads == 1) {
    const TaskMemory own;
    Share all{{0}, tasks};
    Tasks mine(&all, 1, 0);
    return body(context, mine);
  }
  const Settings of_all = settings();
  Scratch scratch;
  Share* shares = scratch.take<Share>(threads);
  for (int i = 0; i < threads; ++i)
    new (shares + i) Share{{i * tasks / threads}, (i + 1) * tasks / threads};
  std::exception_ptr error;
  std::atomic_flag failed = ATOMIC_FLAG_INIT;
  // All of the team, whoever has work: the runtime ends the threads that a region leaves out, and
  // makes new ones for the next, whose stacks may not fit beside those that are still ending.
#pragma omp parallel num_threads(team)
  if (omp_get_thread_num() < threads) {
    const TaskMemory own;
    const WorkerScope worker(of_all);
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
