// Little-endian bytes: a writer that appends and a reader that never leaves its span. What steps
// and results are made of on the wire.
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>
#include <vector>

#include "kernels/check.hpp"

namespace llmpq {

/// Lists of these are copied as they lie in memory.
template <typename T>
constexpr bool kAsInMemory = std::endian::native == std::endian::little&& std::is_arithmetic_v<T> &&
                             !std::is_same_v<T, bool>;

class ByteWriter {
 public:
  template <std::integral T>
  void put(T value) {
    auto bits = static_cast<std::make_unsigned_t<T>>(value);
    for (size_t i = 0; i < sizeof(T); ++i)
      bytes_.push_back(static_cast<std::byte>((bits >> (8 * i)) & 0xff));
  }
  void put(bool value) { put(static_cast<uint8_t>(value)); }
  void put(float value) { put(std::bit_cast<uint32_t>(value)); }
  void put(double value) { put(std::bit_cast<uint64_t>(value)); }
  /// The length, then the elements.
  template <typename T>
  void put(const std::vector<T>& values) {
    put(static_cast<uint64_t>(values.size()));
    if constexpr (kAsInMemory<T>) {
      const auto bytes = std::as_bytes(std::span(values));
      bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
    } else {
      for (const T& value : values) put(value);
    }
  }
  std::vector<std::byte> take() { return std::move(bytes_); }

 private:
  std::vector<std::byte> bytes_;
};

/// Every read throws Error(kMpi) where the bytes end too early or hold a value that cannot be.
class ByteReader {
 public:
  /// `what` is what the bytes should be ("a step"), for the message.
  ByteReader(std::span<const std::byte> bytes, const char* what) : bytes_(bytes), what_(what) {}

  template <std::integral T>
  void get(T& value) {
    need(sizeof(T));
    std::make_unsigned_t<T> bits = 0;
    for (size_t i = 0; i < sizeof(T); ++i)
      bits = static_cast<std::make_unsigned_t<T>>(
          bits | static_cast<std::make_unsigned_t<T>>(
                     static_cast<std::make_unsigned_t<T>>(bytes_[i]) << (8 * i)));
    bytes_ = bytes_.subspan(sizeof(T));
    value = static_cast<T>(bits);
  }
  void get(bool& value) {
    uint8_t bits = 0;
    get(bits);
    CHECK(bits <= 1, Exit::kMpi, "{}: a flag is {}, want 0 or 1", what_, bits);
    value = bits == 1;
  }
  void get(float& value) {
    uint32_t bits = 0;
    get(bits);
    value = std::bit_cast<float>(bits);
  }
  void get(double& value) {
    uint64_t bits = 0;
    get(bits);
    value = std::bit_cast<double>(bits);
  }
  template <typename T>
  requires std::is_arithmetic_v<T>
  void get(std::vector<T>& values) {
    values.resize(get_count(sizeof(T)));
    if constexpr (kAsInMemory<T>) {
      const size_t size = values.size() * sizeof(T);
      if (size > 0) std::memcpy(values.data(), bytes_.data(), size);
      bytes_ = bytes_.subspan(size);
    } else {
      for (T& value : values) get(value);
    }
  }
  /// The length of a list whose elements take at least `element_bytes` each: a length that the
  /// remaining bytes cannot hold is refused before anything is allocated.
  size_t get_count(size_t element_bytes) {
    uint64_t count = 0;
    get(count);
    CHECK(count <= bytes_.size() / element_bytes, Exit::kMpi,
          "{}: a list of {} elements in {} bytes", what_, count, bytes_.size());
    return static_cast<size_t>(count);
  }
  void finish() const {
    CHECK(bytes_.empty(), Exit::kMpi, "{}: {} bytes are left over", what_, bytes_.size());
  }

 private:
  void need(size_t count) const {
    CHECK(count <= bytes_.size(), Exit::kMpi, "{}: {} bytes are left, want {}", what_,
          bytes_.size(), count);
  }

  std::span<const std::byte> bytes_;
  const char* what_;
};

}  // namespace llmpq
