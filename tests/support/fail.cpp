// Preloaded into a process, this lets the k-th allocation of one library fail, or the k-th system
// call on a file. tests/faults.py compiles it and drives it by ctypes; it is for glibc.
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <stdarg.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <new>

extern "C" {
void* __libc_malloc(size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);
void* __libc_memalign(size_t, size_t);
}

namespace {

enum Kind { kNothing, kAllocations, kCalls };

// Of this size is a node of the map in which pybind11 writes down an object that was constructed.
// It does so outside of its try block, so that the process ends where there is no memory for the
// node (pybind11 3.1, `cpp_function::dispatcher`).
constexpr size_t kSpared = 24;

std::atomic<int> kind{kNothing};
std::atomic<long> seen{0};
std::atomic<long> failing{0};
std::uintptr_t library_begin = 0, library_end = 0;
pthread_t caller;
int error_number = 0;
const char* failed = "";

int find(dl_phdr_info* info, size_t, void* name) {
  if (strstr(info->dlpi_name, static_cast<const char*>(name)) == nullptr) return 0;
  library_begin = UINTPTR_MAX;
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const auto& part = info->dlpi_phdr[i];
    if (part.p_type != PT_LOAD) continue;
    const std::uintptr_t begin = info->dlpi_addr + part.p_vaddr, end = begin + part.p_memsz;
    if (begin < library_begin) library_begin = begin;
    if (end > library_end) library_end = end;
  }
  return 1;
}

// Threads of the library allocate, too: they count like the one that calls it.
bool allocation_fails(const void* from, size_t size) {
  if (size == kSpared) return false;
  const auto address = reinterpret_cast<std::uintptr_t>(from);
  if (kind.load() != kAllocations || address < library_begin || address >= library_end)
    return false;
  return seen.fetch_add(1) + 1 == failing.load();
}

bool call_fails(const char* name) {
  if (kind.load() != kCalls || !pthread_equal(pthread_self(), caller)) return false;
  if (seen.fetch_add(1) + 1 != failing.load()) return false;
  failed = name;
  errno = error_number;
  return true;
}

void begin(Kind what, long at) {
  caller = pthread_self();
  failed = "";
  seen.store(0);
  failing.store(at);
  kind.store(what);
}

}  // namespace

extern "C" {

// Lets allocation number `at`, counted from 1, of the library whose path has this text in it fail;
// 0 lets none fail. Returns whether the library is loaded.
int fail_allocation(const char* library, long at) {
  library_begin = library_end = 0;
  if (dl_iterate_phdr(find, const_cast<char*>(library)) == 0) return 0;
  begin(kAllocations, at);
  return 1;
}

// The same for system calls on files that this thread makes, with that errno.
void fail_call(long at, int error) {
  error_number = error;
  begin(kCalls, at);
}

// Ends it; returns how many there were.
long fail_no_more() {
  kind.store(kNothing);
  return seen.load();
}

const char* failed_call() { return failed; }

void* malloc(size_t size) {
  if (allocation_fails(__builtin_return_address(0), size)) return errno = ENOMEM, nullptr;
  return __libc_malloc(size);
}
void* calloc(size_t count, size_t size) {
  if (allocation_fails(__builtin_return_address(0), count * size)) return errno = ENOMEM, nullptr;
  return __libc_calloc(count, size);
}
void* realloc(void* memory, size_t size) {
  if (allocation_fails(__builtin_return_address(0), size)) return errno = ENOMEM, nullptr;
  return __libc_realloc(memory, size);
}
void* aligned_alloc(size_t alignment, size_t size) {
  if (allocation_fails(__builtin_return_address(0), size)) return errno = ENOMEM, nullptr;
  return __libc_memalign(alignment, size);
}
int posix_memalign(void** memory, size_t alignment, size_t size) {
  if (allocation_fails(__builtin_return_address(0), size)) return ENOMEM;
  *memory = __libc_memalign(alignment, size);
  return *memory == nullptr ? ENOMEM : 0;
}

#define REAL(name) \
  static const auto real = reinterpret_cast<decltype(&name)>(dlsym(RTLD_NEXT, #name))
#define FAILS(result, name, parameters, arguments) \
  result name parameters {                         \
    REAL(name);                                    \
    if (call_fails(#name)) return -1;              \
    return real arguments;                         \
  }

#define OPENS(name)                                                   \
  int name(const char* path, int flags, ...) {                        \
    REAL(name);                                                       \
    va_list more;                                                     \
    va_start(more, flags);                                            \
    const mode_t mode = (flags & O_CREAT) ? va_arg(more, mode_t) : 0; \
    va_end(more);                                                     \
    if (call_fails(#name)) return -1;                                 \
    return real(path, flags, mode);                                   \
  }
#define OPENS_AT(name)                                                \
  int name(int folder, const char* path, int flags, ...) {            \
    REAL(name);                                                       \
    va_list more;                                                     \
    va_start(more, flags);                                            \
    const mode_t mode = (flags & O_CREAT) ? va_arg(more, mode_t) : 0; \
    va_end(more);                                                     \
    if (call_fails(#name)) return -1;                                 \
    return real(folder, path, flags, mode);                           \
  }

OPENS(open)
OPENS(open64)
OPENS_AT(openat)
OPENS_AT(openat64)
FAILS(ssize_t, write, (int fd, const void* from, size_t count), (fd, from, count))
FAILS(int, fsync, (int fd), (fd))
FAILS(int, fdatasync, (int fd), (fd))
FAILS(int, rename, (const char* from, const char* to) noexcept, (from, to))
FAILS(int, renameat, (int a, const char* from, int b, const char* to) noexcept, (a, from, b, to))
FAILS(int, link, (const char* from, const char* to) noexcept, (from, to))
FAILS(int, linkat, (int a, const char* f, int b, const char* t, int g) noexcept, (a, f, b, t, g))
FAILS(int, ftruncate, (int fd, off_t size) noexcept, (fd, size))
FAILS(int, ftruncate64, (int fd, off64_t size) noexcept, (fd, size))
FAILS(int, chmod, (const char* path, mode_t mode) noexcept, (path, mode))
FAILS(int, fchmod, (int fd, mode_t mode) noexcept, (fd, mode))
FAILS(int, chown, (const char* path, uid_t u, gid_t g) noexcept, (path, u, g))
FAILS(int, fchown, (int fd, uid_t u, gid_t g) noexcept, (fd, u, g))
FAILS(ssize_t, getrandom, (void* to, size_t count, unsigned flags), (to, count, flags))

// Linux closes the descriptor whatever it answers.
int close(int fd) {
  REAL(close);
  const int result = real(fd);
  return call_fails("close") ? -1 : result;
}

}  // extern "C"

void* operator new(size_t size) {
  if (allocation_fails(__builtin_return_address(0), size)) throw std::bad_alloc();
  if (void* memory = __libc_malloc(size ? size : 1)) return memory;
  throw std::bad_alloc();
}
void* operator new[](size_t size) {
  if (allocation_fails(__builtin_return_address(0), size)) throw std::bad_alloc();
  if (void* memory = __libc_malloc(size ? size : 1)) return memory;
  throw std::bad_alloc();
}
