// A backend: one device kind with its operations, memory and devices. A stage holds one
// `Backend&` and nothing else of the hardware.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kernels/ops.hpp"

namespace llmpq {

/// What an operation runs on. The CPU's holds a thread pool and scratch memory, CUDA's a stream.
class Context {
 public:
  virtual ~Context() = default;
  /// Waits until everything queued on it is done.
  virtual void synchronize() = 0;
};

struct DeviceInfo {
  std::string name;
  std::string uuid;  ///< empty for a CPU
  int64_t memory_bytes = 0;
  int64_t free_bytes = 0;
  int compute_units = 0;  ///< SMs, or threads of a CPU
};

class Backend {
 public:
  virtual ~Backend() = default;
  virtual std::string name() const = 0;  ///< "cpu", "cuda"
  virtual const Ops& ops() const = 0;
  virtual std::vector<DeviceInfo> devices() const = 0;
  virtual std::unique_ptr<Context> make_context() = 0;

  /// Device memory, zeroed. Throws Error(kNoPlan) when there is not so much.
  virtual Buffer allocate(int64_t bytes) = 0;
  virtual void copy_to_device(Context&, void* device, const void* host, int64_t bytes) = 0;
  virtual void copy_to_host(Context&, void* host, const void* device, int64_t bytes) = 0;

  /// Bytes of a matrix [n, k] in a format, scales and padding included.
  virtual int64_t packed_bytes(Format format, int64_t n, int64_t k) const = 0;
  /// Rounds and packs rows [row_begin, row_begin + rows) of a matrix: `values` is row-major f32
  /// [rows, k] in host memory. `w.packed` must have packed_bytes(w.format, w.n, w.k) bytes.
  virtual void pack_rows(Context&, Matrix& w, int64_t row_begin, int64_t rows,
                         const float* values) = 0;
};

/// The CPU backend with that many threads (0: as many as the process may use). `isa`: auto, plain,
/// avx2, vnni or amx; Error(kUsage) if this CPU lacks it.
std::unique_ptr<Backend> make_cpu_backend(int threads, const std::string& isa);

}  // namespace llmpq
