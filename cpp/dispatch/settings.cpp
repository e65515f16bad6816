#include "settings.h"

#include <algorithm>
#include <atomic>
#include <utility>

namespace convkit {
namespace {

std::atomic<const KernelTable*> selected_kernels{nullptr};
std::atomic<int> selected_threads{1};
std::atomic<bool> selected_direct{false};

// Threads that are in an operation of their own.
std::atomic<int> callers{0};
thread_local const Settings* current = nullptr;
thread_local const ops::Ranks* current_ranks = nullptr;

}  // namespace

void select_kernels(const KernelTable* table) { selected_kernels.store(table); }
void select_threads(int threads) { selected_threads.store(std::max(threads, 1)); }
void select_direct(bool direct) { selected_direct.store(direct); }

Settings selected_settings() {
  return {selected_kernels.load(), selected_threads.load(), selected_direct.load(), current_ranks};
}

Settings settings() { return current ? *current : selected_settings(); }

OperationScope::OperationScope() : own_(settings()), outermost_(!current) {
  if (!outermost_) return;
  const int sharers = callers.fetch_add(1) + 1;
  own_.threads = std::max(own_.threads / sharers, 1);
  current = &own_;
}

OperationScope::~OperationScope() {
  if (!outermost_) return;
  current = nullptr;
  callers.fetch_sub(1);
}

WorkerScope::WorkerScope(const Settings& settings) : former_(std::exchange(current, &settings)) {}
WorkerScope::~WorkerScope() { current = former_; }

RanksScope::RanksScope(const ops::Ranks* ranks) : former_(std::exchange(current_ranks, ranks)) {}
RanksScope::~RanksScope() { current_ranks = former_; }

void settings_after_fork() { callers.store(current ? 1 : 0); }

}  // namespace convkit
