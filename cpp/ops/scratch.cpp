#include "scratch.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <new>
#include <utility>
#include <vector>

#if __has_include(<sanitizer/asan_interface.h>)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, size) (void)(address), (void)(size)
#define ASAN_UNPOISON_MEMORY_REGION(address, size) (void)(address), (void)(size)
#endif

namespace convkit::ops {
namespace {

constexpr std::size_t kLineBytes = 64;
// A core keeps too few translations of addresses for the streams that Winograd's transforms write,
// unless pages are large: the kernel is asked for them where a region holds one.
constexpr std::size_t kHugePage = 2 << 20;

constexpr std::size_t round_up_to(std::size_t bytes, std::size_t multiple) {
  return (bytes + multiple - 1) / multiple * multiple;
}

struct Free {
  void operator()(std::byte* p) const { std::free(p); }
};

// Memory that nobody may touch before it is taken, as AddressSanitizer is told.
class Region {
 public:
  explicit Region(std::size_t bytes) {
    const std::size_t page = bytes >= kHugePage ? kHugePage : kLineBytes;
    size_ = round_up_to(bytes, page);
    memory_.reset(static_cast<std::byte*>(std::aligned_alloc(page, size_)));
    if (!memory_) throw std::bad_alloc();
#ifdef MADV_HUGEPAGE
    if (page == kHugePage) madvise(memory_.get(), size_, MADV_HUGEPAGE);
#endif
    close(0);
  }

  std::size_t size() const { return size_; }
  std::byte* open(std::size_t begin, std::size_t bytes) {
    ASAN_UNPOISON_MEMORY_REGION(memory_.get() + begin, bytes);
    return memory_.get() + begin;
  }
  void close(std::size_t begin) { ASAN_POISON_MEMORY_REGION(memory_.get() + begin, size_ - begin); }

 private:
  std::unique_ptr<std::byte, Free> memory_;
  std::size_t size_;
};

}  // namespace

// A stack. When it is full it goes on in another region, as large as those before it together, and
// as soon as it is empty again it has one region for all that it has ever held: after the first
// step of a training what is taken has the same places in every step.
class ScratchPool {
 public:
  void* take(std::size_t bytes) {
    // A line between neighbours belongs to nobody.
    const std::size_t needed = round_up_to(bytes, kLineBytes) + kLineBytes;
    if (top_.taken == 0) merge();
    while (top_.region < regions_.size() && regions_[top_.region].size() - top_.used < needed)
      top_ = {top_.region + 1, 0, top_.taken};
    if (top_.region == regions_.size()) regions_.emplace_back(std::max(needed, size()));
    std::byte* memory = regions_[top_.region].open(top_.used, bytes);
    top_.used += needed, top_.taken += needed;
    most_taken_ = std::max(most_taken_, top_.taken);
    return memory;
  }

  ScratchMark top() const { return top_; }
  void release(ScratchMark mark) {
    for (std::size_t i = mark.region; i <= top_.region && i < regions_.size(); ++i)
      regions_[i].close(i == mark.region ? mark.used : 0);
    top_ = mark;
  }

 private:
  std::size_t size() const {
    std::size_t sum = 0;
    for (const Region& region : regions_) sum += region.size();
    return sum;
  }
  void merge() {
    if (regions_.size() < 2) return;
    regions_.clear();
    top_ = {};
    regions_.emplace_back(most_taken_);
  }

  std::vector<Region> regions_;
  ScratchMark top_;
  std::size_t most_taken_ = 0;
};

namespace {

thread_local ScratchPool operations, tasks;
thread_local bool in_task = false;

}  // namespace

Scratch::Scratch() : pool_(in_task ? tasks : operations), mark_(pool_.top()) {}
Scratch::~Scratch() { pool_.release(mark_); }

TaskMemory::TaskMemory() : former_(std::exchange(in_task, true)) {}
TaskMemory::~TaskMemory() { in_task = former_; }

void* Scratch::take_bytes(std::int64_t count, std::size_t size) {
  const std::size_t wanted = static_cast<std::size_t>(count);
  if (count < 0 || wanted > (SIZE_MAX >> 1) / size) throw std::bad_alloc();
  return pool_.take(wanted * size);
}

}  // namespace convkit::ops
