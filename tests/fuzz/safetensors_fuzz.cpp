// Any bytes as the front of a safetensors file: an Error or a header whose promises hold.
#include <cstdint>
#include <cstdlib>

#include "input/safetensors.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::span bytes(reinterpret_cast<const std::byte*>(data), size);
  // The file is longer than its front, as where tensors follow: so places can be right.
  const auto file_bytes = static_cast<int64_t>(size) + 4096;
  try {
    const auto header = llmpq::parse_safetensors_header(bytes, file_bytes, "fuzz.safetensors");
    int64_t last = header.header_bytes;
    for (const auto& tensor : header.tensors) {
      if (tensor.begin == tensor.end) continue;
      if (tensor.begin < last || tensor.end < tensor.begin || tensor.end > file_bytes) std::abort();
      last = tensor.end;
    }
  } catch (const llmpq::Error&) {
  }
  return 0;
}
