// Working memory that lives from one call to the next, so that a training step allocates nothing.
#pragma once

#include <cstddef>
#include <cstdint>

#include "extent.h"

namespace convkit::ops {

class ScratchPool;

// A height of a pool's stack.
struct ScratchMark {
  std::size_t region = 0;
  std::int64_t used = 0;  // bytes of the region
};

// Memory for the duration of one operation on the calling thread. Blocks are 64-byte aligned and
// uninitialised; they return to the thread's pool when the Scratch goes out of scope. Scratches
// nest. Taking memory throws std::bad_alloc: where there is none, and where the product of the
// sizes that were asked for does not fit 64 bits.
class Scratch {
 public:
  Scratch();
  ~Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  // The product of the sizes many; a caller that multiplied them itself could wrap around.
  template <class T = float, class... Sizes>
  T* take(std::int64_t count, Sizes... others) {
    return static_cast<T*>(take_bytes(product(count, others...), sizeof(T)));
  }

 private:
  void* take_bytes(std::int64_t count, std::size_t size);

  ScratchPool& pool_;
  ScratchMark mark_;
};

// While there is one, what the calling thread takes comes from a pool of its tasks' own: the same
// memory in every operation, which is in its core's cache and in no other one's. A line that
// another core has read or written takes five times as long to write as one of one's own.
class TaskMemory {
 public:
  TaskMemory();
  ~TaskMemory();
  TaskMemory(const TaskMemory&) = delete;
  TaskMemory& operator=(const TaskMemory&) = delete;

  // Whether the calling thread has one.
  static bool is_in_use();

 private:
  bool former_;
};

}  // namespace convkit::ops
