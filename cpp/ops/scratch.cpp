#include "scratch.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <new>
#include <utility>
#include <vector>

#include "../shapes.h"
#include "parallel.h"

#if __has_include(<sanitizer/asan_interface.h>)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, size) (void)(address), (void)(size)
#define ASAN_UNPOISON_MEMORY_REGION(address, size) (void)(address), (void)(size)
#endif

namespace convkit::ops {
namespace {

constexpr std::int64_t kLineBytes = kLine * sizeof(float);
// A core keeps too few translations of addresses for the streams that Winograd's transforms write,
// unless pages are large: the kernel is asked for them where a region holds one.
constexpr std::int64_t kHugePage = 2 << 20;

struct Free {
  void operator()(std::byte* p) const { std::free(p); }
};

// Memory that nobody may touch before it is taken, as AddressSanitizer is told.
class Region {
 public:
  explicit Region(std::int64_t bytes) {
    const std::int64_t page = bytes >= kHugePage ? kHugePage : kLineBytes;
    size_ = round_up(bytes, page);
    memory_.reset(static_cast<std::byte*>(std::aligned_alloc(page, size_)));
    if (!memory_) throw std::bad_alloc();
#ifdef MADV_HUGEPAGE
    if (page == kHugePage) madvise(memory_.get(), size_, MADV_HUGEPAGE);
#endif
    close(0);
  }

  std::int64_t size() const { return size_; }
  std::byte* open(std::int64_t begin, std::int64_t bytes) {
    ASAN_UNPOISON_MEMORY_REGION(memory_.get() + begin, bytes);
    return memory_.get() + begin;
  }
  void close(std::int64_t begin) {
    ASAN_POISON_MEMORY_REGION(memory_.get() + begin, size_ - begin);
  }

 private:
  std::unique_ptr<std::byte, Free> memory_;
  std::int64_t size_;
};

}  // namespace

// A stack. When it is full it goes on in another region, as large as those before it together, and
// as soon as it is empty again it has one region for all that it has ever held: after the first
// step of a training what is taken has the same places in every step.
class ScratchPool {
 public:
  void* take(std::int64_t bytes) {
    // A line between neighbours belongs to nobody.
    const std::int64_t needed = round_up(bytes, kLineBytes) + kLineBytes;
    if (top_.region == 0 && top_.used == 0) merge();
    while (top_.region < regions_.size() && regions_[top_.region].size() - top_.used < needed)
      top_ = {top_.region + 1, 0};
    if (top_.region == regions_.size())
      regions_.emplace_back(std::max(needed, size_before(top_.region)));
    std::byte* memory = regions_[top_.region].open(top_.used, bytes);
    top_.used += needed;
    highest_ = std::max(highest_, size_before(top_.region) + top_.used);
    return memory;
  }

  ScratchMark top() const { return top_; }
  void release(ScratchMark mark) {
    for (std::size_t i = mark.region; i <= top_.region && i < regions_.size(); ++i)
      regions_[i].close(i == mark.region ? mark.used : 0);
    top_ = mark;
  }

 private:
  std::int64_t size_before(std::size_t region) const {
    std::int64_t sum = 0;
    for (std::size_t i = 0; i < region; ++i) sum += regions_[i].size();
    return sum;
  }
  void merge() {
    if (regions_.size() < 2) return;
    regions_.clear();
    top_ = {};
    regions_.emplace_back(highest_);
  }

  std::vector<Region> regions_;
  ScratchMark top_;
  std::int64_t highest_ = 0;  // that the stack has been, in bytes
};

namespace {

thread_local ScratchPool operations, tasks;
thread_local bool in_task = false;

}  // namespace

Scratch::Scratch() : pool_(in_task ? tasks : operations), mark_(pool_.top()) {}
Scratch::~Scratch() { pool_.release(mark_); }

TaskMemory::TaskMemory() : former_(std::exchange(in_task, true)) {}
TaskMemory::~TaskMemory() { in_task = former_; }
bool TaskMemory::is_in_use() { return in_task; }

void* Scratch::take_bytes(std::int64_t count, std::size_t size) {
  const std::size_t wanted = static_cast<std::size_t>(count);
  // Half of what fits in 64 bits with a sign, for a stack of several to fit, too.
  if (count < 0 || wanted > (SIZE_MAX >> 2) / size) throw std::bad_alloc();
  return pool_.take(static_cast<std::int64_t>(wanted * size));
}

}  // namespace convkit::ops
