// Any text as config.json, and what follows a NUL as generation_config.json: an Error or a config
// whose sizes can be multiplied without care.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "input/tensor_shapes.hpp"
#include "kernels/check.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const size_t end = text.find('\0');
  const auto generation = end == text.npos ? std::string_view() : text.substr(end + 1);
  try {
    const auto config =
        llmpq::parse_model_config(text.substr(0, end), generation, "fuzz/config.json");
    const bool sane = config.layers > 0 && config.hidden > 0 && config.heads > 0 &&
                      config.heads % config.kv_heads == 0 && config.qkv_rows() > 0 &&
                      std::ssize(config.window) == config.layers &&
                      llmpq::parameter_count(config) > 0;
    if (!sane) std::abort();
  } catch (const llmpq::Error&) {
  }
  return 0;
}
