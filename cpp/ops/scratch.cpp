#include "scratch.h"

#include <algorithm>
#include <memory>
#include <new>
#include <utility>
#include <vector>

namespace convkit::ops {
namespace {

constexpr std::size_t kAlignment = 64;

struct Free {
  void operator()(std::byte* p) const { ::operator delete(p, std::align_val_t{kAlignment}); }
};

struct Block {
  std::unique_ptr<std::byte, Free> memory;
  std::size_t size;
};

}  // namespace

// A stack of blocks: the first `used` are taken. A block that is too small for a request is
// replaced by a larger one, so that after the first step of a training the sizes have settled.
struct ScratchPool {
  std::vector<Block> blocks;
  std::size_t used = 0;
};

namespace {

thread_local ScratchPool operations, tasks;
thread_local bool in_task = false;

}  // namespace

Scratch::Scratch() : pool_(in_task ? tasks : operations), mark_(pool_.used) {}
Scratch::~Scratch() { pool_.used = mark_; }

TaskMemory::TaskMemory() : former_(std::exchange(in_task, true)) {}
TaskMemory::~TaskMemory() { in_task = former_; }

void* Scratch::take_bytes(std::int64_t count, std::size_t size) {
  const std::size_t wanted = static_cast<std::size_t>(count);
  if (count < 0 || wanted > (SIZE_MAX >> 1) / size) throw std::bad_alloc();
  const std::size_t bytes = std::max(wanted * size, kAlignment);
  if (pool_.used == pool_.blocks.size()) pool_.blocks.push_back(Block{nullptr, 0});
  Block& block = pool_.blocks[pool_.used];
  if (block.size < bytes) {
    block.memory.reset();
    block.size = 0;
    block.memory.reset(
        static_cast<std::byte*>(::operator new(bytes, std::align_val_t{kAlignment})));
    block.size = bytes;
  }
  ++pool_.used;
  return block.memory.get();
}

}  // namespace convkit::ops
