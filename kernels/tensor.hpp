// Element types, and the forms in which numbers lie in memory: a Buffer owns bytes of a device, a
// Matrix is a weight matrix packed in one of the formats for one backend, RowsInMemory what it is
// packed from.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "kernels/formats.hpp"

namespace llmpq {

enum class DType : uint8_t { kF32, kBf16, kF16, kInt8, kInt32 };

constexpr int64_t size_of(DType type) {
  switch (type) {
    case DType::kF32:
    case DType::kInt32:
      return 4;
    case DType::kBf16:
    case DType::kF16:
      return 2;
    case DType::kInt8:
      return 1;
  }
  return 0;
}
constexpr std::string_view name(DType type) {
  constexpr std::string_view kNames[] = {"f32", "bf16", "f16", "int8", "int32"};
  return kNames[static_cast<size_t>(type)];
}

/// Memory of a backend: 64-byte aligned, zeroed, freed by its owner's deleter. Move-only.
class Buffer {
 public:
  using Deleter = void (*)(void*);
  Buffer() : data_(nullptr, [](void*) {}) {}
  Buffer(void* data, int64_t bytes, Deleter deleter) : data_(data, deleter), bytes_(bytes) {}

  std::byte* data() { return static_cast<std::byte*>(data_.get()); }
  const std::byte* data() const { return static_cast<const std::byte*>(data_.get()); }
  template <typename T>
  T* as() {
    return static_cast<T*>(data_.get());
  }
  template <typename T>
  const T* as() const {
    return static_cast<const T*>(data_.get());
  }
  int64_t bytes() const { return bytes_; }
  bool empty() const { return bytes_ == 0; }

 private:
  std::unique_ptr<void, Deleter> data_;
  int64_t bytes_ = 0;
};

/// Rows of a matrix that lie in memory as f32, bf16 or f16, one behind the other, at any address.
struct RowsInMemory {
  DType type;
  const std::byte* numbers;
};

/// A weight matrix [n, k] (outputs, inputs) in the packed layout of its format on one backend.
/// `kernels/cpu/pack.hpp` draws the layouts. bytes = Backend::packed_bytes(format, n, k), exactly.
struct Matrix {
  Format format = Format::kBf16;
  int64_t n = 0;  ///< outputs
  int64_t k = 0;  ///< inputs, the reduction axis
  Buffer packed;
  /// The packed matrix that is usually multiplied after this one, if known: threads of a CPU ask
  /// for it while they wait.
  std::span<const std::byte> next = {};
};

}  // namespace llmpq
