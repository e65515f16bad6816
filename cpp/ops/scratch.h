// Working memory that lives from one call to the next, so that a training step allocates nothing.
#pragma once

#include <cstddef>
#include <cstdint>

namespace convkit::ops {

// Memory for the duration of one operation on the calling thread. Blocks are 64-byte aligned and
// uninitialised; they return to the thread's pool when the Scratch goes out of scope. Scratches
// nest. Taking memory throws std::bad_alloc, so take it before a parallel region.
class Scratch {
 public:
  Scratch();
  ~Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  template <class T = float>
  T* take(std::int64_t count) {
    return static_cast<T*>(take_bytes(count, sizeof(T)));
  }

 private:
  void* take_bytes(std::int64_t count, std::size_t size);

  std::size_t mark_;
};

}  // namespace convkit::ops
