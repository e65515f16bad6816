#include "gather.h"

#include "../dispatch/cpu.h"
#include "parallel.h"

namespace convkit::ops {

void gather(std::int64_t n, std::int64_t size, const std::uint8_t* source,
            const std::int64_t* indices, float scale, float* out) {
  parallel_for(n, n * size, [&](std::int64_t i) {
    kernels().gather_bytes(source + indices[i] * size, scale, out + i * size, size);
  });
}

void gather(std::int64_t n, std::int64_t size, const float* source, const std::int64_t* indices,
            float scale, float* out) {
  parallel_for(n, n * size, [&](std::int64_t i) {
    kernels().gather_floats(source + indices[i] * size, scale, out + i * size, size);
  });
}

}  // namespace convkit::ops
