// What operations work with: the kernels of an instruction set, a number of threads, an algorithm.
// Any thread may select others at any time; an operation reads them once, when it begins, and uses
// them to its end.
#pragma once

#include "kernel_table.h"

namespace convkit {

namespace ops {
class Ranks;
}

struct Settings {
  const KernelTable* kernels;
  int threads;              // at most so many work on one operation
  bool direct;              // convolutions are direct sums, never Winograd's algorithm
  const ops::Ranks* ranks;  // the processes that share the batch, or null
};

// Those of operations that begin from now on.
Settings selected_settings();
void select_kernels(const KernelTable* table);
void select_threads(int threads);
void select_direct(bool direct);

// Those of the operation that the calling thread works on; outside of one, the selected ones.
Settings settings();
inline const KernelTable& kernels() { return *settings().kernels; }

// From its beginning to its end the calling thread is in one operation, or in several of one pass.
// An operation within another one has that one's settings. Threads that are in operations of their
// own at the same time share the selected number of threads among them.
class OperationScope {
 public:
  OperationScope();
  ~OperationScope();
  OperationScope(const OperationScope&) = delete;
  OperationScope& operator=(const OperationScope&) = delete;

 private:
  Settings own_;
  bool outermost_;
};

// Lets a thread work on the operation of another one, whose settings these are.
class WorkerScope {
 public:
  explicit WorkerScope(const Settings& settings);
  ~WorkerScope();
  WorkerScope(const WorkerScope&) = delete;
  WorkerScope& operator=(const WorkerScope&) = delete;

 private:
  const Settings* former_;
};

// Until its end the operations that the calling thread begins are about a batch that these ranks
// share; null for one that is this process's alone.
class RanksScope {
 public:
  explicit RanksScope(const ops::Ranks* ranks);
  ~RanksScope();
  RanksScope(const RanksScope&) = delete;
  RanksScope& operator=(const RanksScope&) = delete;

 private:
  const ops::Ranks* former_;
};

// In a forked child only the calling thread is left.
void settings_after_fork();

}  // namespace convkit
