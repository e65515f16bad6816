#include "read_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace convkit::ops {
namespace {

bool is_small(const struct stat& status, std::int64_t largest) {
  return S_ISREG(status.st_mode) && status.st_size <= largest;
}

// Its size, or -1. Room: for one byte more than the largest file, which shows that one has grown.
std::int64_t read_file(const char* path, std::int64_t largest, char* room) {
  struct stat status;
  // Before it is opened, for opening a device may do something; and without waiting for a pipe.
  if (stat(path, &status) != 0 || !is_small(status, largest)) return -1;
  const int file = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (file < 0) return -1;
  std::int64_t size = -1;
  if (fstat(file, &status) == 0 && is_small(status, largest))
    size = read(file, room, static_cast<std::size_t>(largest) + 1);
  close(file);
  return size == status.st_size ? size : -1;
}

}  // namespace

void read_small_files(const std::vector<const char*>& paths, std::int64_t largest,
                      std::vector<char>& bytes, std::int64_t* sizes) {
  std::vector<char> room(static_cast<std::size_t>(largest) + 1);
  for (std::size_t i = 0; i < paths.size(); ++i) {
    sizes[i] = read_file(paths[i], largest, room.data());
    if (sizes[i] > 0) bytes.insert(bytes.end(), room.begin(), room.begin() + sizes[i]);
  }
}

}  // namespace convkit::ops
