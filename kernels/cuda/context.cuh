// What an operation of the module runs on: a device in use, a stream, scratch memory.
#pragma once

#include <cublas_v2.h>
#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "kernels/cuda/check.cuh"
#include "kernels/cuda/scratch.hpp"
#include "kernels/product_kernels.hpp"

/// A kernel's argument that it may take references to without a copy; compilers for the oldest
/// chips do not know it.
#if defined(__clang__) || (defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 700)
#define LLMPQ_GRID_CONSTANT
#else
#define LLMPQ_GRID_CONSTANT __grid_constant__
#endif

namespace llmpq::cuda {

struct Session {
  SessionOptions options;
  int sms = 0;                 ///< that kernels may count on
  int compute_capability = 0;  ///< major * 10 + minor
  int code_version = 0;  ///< of the module's code that it runs, likewise: a GPU may run older code
  int64_t allocated_bytes = 0;
  void* green = nullptr;                ///< the driver's green context if only some SMs are used
  std::vector<ProductChoice> products;  ///< which kernels they take; empty: the usual ones
};

/// A recorded graph, and how often its key was asked for.
struct Recording {
  cudaGraphExec_t graph = nullptr;
  int asked = 0;
};

struct StreamContext {
  Session* session = nullptr;
  cudaStream_t stream = nullptr;
  cublasHandle_t cublas = nullptr;
  void* cublas_workspace = nullptr;

  /// kCounters zeros: kernels in which blocks meet count there, and leave zeros again.
  unsigned* counters = nullptr;

  std::byte* scratch = nullptr;
  int64_t scratch_bytes = 0;
  bool scratch_fixed = false;  ///< reserve_scratch() was called: no more growing

  std::unordered_map<uint64_t, Recording> recordings;

  /// Pinned strips on their way to the device while weights are packed (pack.cu).
  struct UploadStrip {
    void* pinned = nullptr;
    void* device = nullptr;
    int64_t bytes = 0;
    cudaEvent_t done = nullptr;
  } strips[2];
  int next_strip = 0;
};

/// The scratch memory of one operation, handed out in 256-byte steps from its beginning: what an
/// earlier operation left there is dead, since the stream runs them in order.
class Scratch {
 public:
  /// Room for `bytes` in all. Grows the context's memory unless it is fixed.
  Scratch(StreamContext& context, int64_t bytes);

  template <typename T>
  T* take(int64_t count) {
    std::byte* part = next_;
    next_ += rounded(count * static_cast<int64_t>(sizeof(T)));
    if (next_ > end_) raise(kInternal, "an operation's scratch memory was counted too small");
    return reinterpret_cast<T*>(part);
  }
  static constexpr int64_t rounded(int64_t bytes) { return (bytes + 255) / 256 * 256; }

 private:
  std::byte *next_, *end_;
};

constexpr int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

// The operations, one function per entry of Ops. Each queues its work on context.stream.
void embed(StreamContext&, const EmbedArgs&);
void norm(StreamContext&, const NormArgs&);
void head_norm(StreamContext&, const HeadNormArgs&);
void add(StreamContext&, const AddArgs&);
void rope(StreamContext&, const RopeArgs&);
void linear(StreamContext&, const LinearArgs&);
/// Ops::input_type.
DType input_type(const StreamContext&, const LinearArgs&);
/// The kernels among which linear() chooses for integer weights whose inputs are rounded so.
ProductKernelSet product_kernels(const StreamContext&, ActivationType);
void activation(StreamContext&, const ActivationArgs&);
void kv_write(StreamContext&, const KvWriteArgs&);
void attention(StreamContext&, const AttentionArgs&);
void gather_rows(StreamContext&, const GatherRowsArgs&);
void add_rows(StreamContext&, const AddRowsArgs&);
void route(StreamContext&, const RouteArgs&);
void sample(StreamContext&, const SampleArgs&);
void score(StreamContext&, const ScoreArgs&);
void pack_rows(StreamContext&, Matrix& w, int64_t row_begin, int64_t rows, const float* values,
               const float* scales);

}  // namespace llmpq::cuda
