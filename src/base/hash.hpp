// 64-bit hashes of bytes (xxHash): checksums of files and keys of caches. Not against attackers.
#pragma once

#include <xxhash.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <type_traits>

namespace llmpq {

/// Hashes what is added piece by piece; the same bytes give the same hash however they are cut.
class Hasher {
 public:
  explicit Hasher(uint64_t seed = 0) : state_(XXH64_createState()) {
    XXH64_reset(state_.get(), seed);
  }

  void add_bytes(const void* data, size_t bytes) { XXH64_update(state_.get(), data, bytes); }
  void add(std::string_view text) { add_bytes(text.data(), text.size()); }
  template <typename T>
  requires std::is_arithmetic_v<T>
  void add(T value) { add_bytes(&value, sizeof(value)); }
  template <typename T>
  requires std::is_arithmetic_v<T>
  void add(std::span<const T> values) { add_bytes(values.data(), values.size_bytes()); }

  uint64_t value() const { return XXH64_digest(state_.get()); }

 private:
  struct Free {
    void operator()(XXH64_state_t* state) const { XXH64_freeState(state); }
  };
  std::unique_ptr<XXH64_state_t, Free> state_;
};

inline uint64_t hash_of(std::string_view text, uint64_t seed = 0) {
  return XXH64(text.data(), text.size(), seed);
}

}  // namespace llmpq
