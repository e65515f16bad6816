// Small files read one after the other, without Python in between.
#pragma once

#include <cstdint>
#include <vector>

namespace convkit::ops {

// Appends the bytes of regular files to `bytes`. sizes: of each file, or -1 where nothing was
// appended: it cannot be read, is no regular file, or has more than `largest` bytes.
void read_small_files(const std::vector<const char*>& paths, std::int64_t largest,
                      std::vector<char>& bytes, std::int64_t* sizes);

}  // namespace convkit::ops
