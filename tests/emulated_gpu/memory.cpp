// Memory of the emulated device: host memory, counted, of which the runtime knows where it begins
// and ends. It holds 0xFF at first: what was never written shows.
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <map>
#include <vector>

#include "fault.hpp"
#include "runtime.hpp"
#include "warp.hpp"

namespace llmpq::emulated {
namespace {

constexpr size_t kMostPinned = size_t{16} << 30;

/// Where ranges begin, and their bytes.
class Ranges {
 public:
  void add(const void* begin, size_t bytes) {
    list_[static_cast<const std::byte*>(begin)] = bytes;
    total_ += bytes;
  }
  bool remove(const void* begin) {
    const auto found = list_.find(static_cast<const std::byte*>(begin));
    if (found == list_.end()) return false;
    total_ -= found->second;
    list_.erase(found);
    return true;
  }
  /// Whether all these bytes lie in one range.
  bool hold(const void* begin, size_t bytes) const {
    const auto* const at = static_cast<const std::byte*>(begin);
    const auto after = list_.upper_bound(at);
    if (after == list_.begin()) return false;
    const auto& [first, size] = *std::prev(after);
    return bytes <= size && static_cast<size_t>(at - first) <= size - bytes;
  }
  size_t total() const { return total_; }

 private:
  std::map<const std::byte*, size_t> list_;
  size_t total_ = 0;
};

Ranges& on_device() {
  static auto* const ranges = new Ranges;
  return *ranges;
}
Ranges& pinned() {
  static auto* const ranges = new Ranges;
  return *ranges;
}

cudaError_t allocate(Ranges& ranges, size_t limit, void** data, size_t bytes) {
  if (is_capturing()) return result(cudaErrorStreamCaptureUnsupported);
  *data = nullptr;
  if (bytes == 0) return cudaSuccess;
  if (bytes > limit || posix_memalign(data, 256, bytes) != 0)
    return result(cudaErrorMemoryAllocation);
  std::memset(*data, 0xff, bytes);
  ranges.add(*data, bytes);
  return cudaSuccess;
}

cudaError_t release(Ranges& ranges, void* data) {
  if (data == nullptr) return cudaSuccess;
  if (is_capturing()) return result(cudaErrorStreamCaptureUnsupported);
  run_all_streams();
  if (!ranges.remove(data)) return result(cudaErrorInvalidValue);
  std::free(data);
  return broken();
}

/// A process allocates on one device only.
size_t free_bytes() {
  const size_t there = device().total_bytes - device().taken_bytes, taken = on_device().total();
  return there > taken ? there - taken : 0;
}

}  // namespace
}  // namespace llmpq::emulated

using namespace llmpq::emulated;

cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  const std::lock_guard lock(runtime_lock());
  *free = free_bytes();
  *total = device().total_bytes;
  return broken();
}

cudaError_t cudaMalloc(void** data, size_t bytes) {
  const std::lock_guard lock(runtime_lock());
  if (const cudaError_t status = of_allocation()) return status;
  return allocate(on_device(), free_bytes(), data, bytes);
}
cudaError_t cudaFree(void* data) {
  const std::lock_guard lock(runtime_lock());
  return release(on_device(), data);
}
cudaError_t cudaHostAlloc(void** data, size_t bytes, unsigned) {
  const std::lock_guard lock(runtime_lock());
  if (broken() != cudaSuccess) return broken();
  return allocate(pinned(), kMostPinned, data, bytes);
}
cudaError_t cudaFreeHost(void* data) {
  const std::lock_guard lock(runtime_lock());
  return release(pinned(), data);
}

cudaError_t cudaMemset(void* data, int value, size_t bytes) {
  const std::lock_guard lock(runtime_lock());
  if (is_capturing()) return result(cudaErrorStreamCaptureUnsupported);
  return cudaMemsetAsync(data, value, bytes, nullptr);
}
cudaError_t cudaMemsetAsync(void* data, int value, size_t bytes, cudaStream_t stream) {
  const std::lock_guard lock(runtime_lock());
  if (bytes == 0) return cudaSuccess;
  if (!on_device().hold(data, bytes)) return result(cudaErrorInvalidValue);
  return enqueue(stream, [=] { std::memset(data, value, bytes); });
}

/// Pageable memory of the host is read before the call returns, and has been written when it does.
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  const std::lock_guard lock(runtime_lock());
  if (bytes == 0) return cudaSuccess;
  const bool from_host = kind == cudaMemcpyHostToDevice, to_host = kind == cudaMemcpyDeviceToHost;
  if (on_device().hold(from, bytes) == from_host || on_device().hold(to, bytes) == to_host)
    return result(cudaErrorInvalidValue);
  if (from_host && !pinned().hold(from, bytes)) {
    const auto* const begin = static_cast<const std::byte*>(from);
    return enqueue(stream, [to, staged = std::vector(begin, begin + bytes)] {
      std::memcpy(to, staged.data(), staged.size());
    });
  }
  const cudaError_t status = enqueue(stream, [=] { std::memcpy(to, from, bytes); });
  if (status == cudaSuccess && to_host && !pinned().hold(to, bytes) && !is_capturing())
    return cudaStreamSynchronize(stream);
  return status;
}
