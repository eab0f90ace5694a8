// A backend: one device kind with its operations, memory and devices. A stage holds one
// `Backend&` and nothing else of the hardware.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/ops.hpp"
#include "kernels/product_kernels.hpp"

namespace llmpq {

enum class BackendKind : uint8_t { kCpu, kCuda };
constexpr std::string_view name(BackendKind kind) {
  return kind == BackendKind::kCpu ? "cpu" : "cuda";
}

/// What an operation runs on. The CPU's holds a thread pool and scratch memory, CUDA's a stream:
/// there operations are queued, in order, and errors may show at a later call.
class Context {
 public:
  virtual ~Context() = default;
  /// Waits until everything queued on it is done.
  virtual void synchronize() = 0;
  /// Makes room for what operations need besides their arguments (Backend::scratch_bytes). After
  /// it an operation that needs more throws instead of allocating; before, memory grows.
  virtual void reserve_scratch(int64_t /*bytes*/) {}
  /// Queues what `work` queues. Calls with the same key promise the same operations on the same
  /// arguments; what their pointers point to may change. CUDA records a key's operations once and
  /// from then on launches the recording as one graph.
  virtual void run_recorded(uint64_t /*key*/, const std::function<void()>& work) { work(); }
};

/// Where rows [begin, begin + rows) of a matrix come from. Called by several threads at once.
struct RowSource {
  /// As f32, row-major.
  std::function<void(int64_t begin, int64_t rows, std::span<float> to)> read;
  /// Where they lie; none if they have to be read. Empty for a source that has nothing in memory.
  std::function<std::optional<RowsInMemory>(int64_t begin, int64_t rows)> in_memory = {};
};

/// A table in a backend's memory, row-major.
struct HalvesTable {
  DType type;  ///< kBf16 or kF16
  int64_t rows, columns;
  std::byte* numbers;
};

struct DeviceInfo {
  std::string name;
  std::string uuid;  ///< empty for a CPU
  int64_t memory_bytes = 0;
  int64_t free_bytes = 0;
  int compute_units = 0;       ///< SMs, or threads of a CPU
  int compute_capability = 0;  ///< CUDA: major * 10 + minor
  std::string pci;             ///< CUDA: the bus id, domain:bus:device.function
  std::string isa;             ///< CPU: the instruction set of its kernels
  std::string left_out = {};   ///< CPU: what they leave out of it and why, a sentence; or empty
};

/// What the scratch memory of a stage's operations depends on: the largest step's sizes.
struct ScratchNeeds {
  struct Product {
    int64_t tokens, n, k;
  };
  std::vector<Product> products;
  int64_t sequences = 0;  ///< ranges of one row
  int64_t heads = 0, head_dim = 0;
  int64_t max_model_len = 0;
  int64_t samples = 0, vocab = 0;  ///< 0 on a stage without the head
};

/// Bytes of a matrix [n, k] in a format on a kind of backend, scales and padding included.
/// Error(kModel) if n or k is not positive or the size overflows.
int64_t packed_bytes(BackendKind kind, Format format, int64_t n, int64_t k);
/// Device memory that a Context takes when it is made; 0 for a CPU.
int64_t context_bytes(BackendKind kind);
/// Bytes that a stage's Context reserves; 0 for a CPU, whose scratch memory grows by itself.
int64_t scratch_bytes(BackendKind kind, const ScratchNeeds& needs);

/// One direction between this rank's device and a neighbour's, without a way through host memory.
/// Both ends queue the same messages in the same order.
class DeviceLink {
 public:
  virtual ~DeviceLink() = default;
  /// Queued like an operation: `from` may be overwritten by operations queued after it.
  virtual void send(Context&, const float* from, int64_t count) = 0;
  /// Queued like an operation: operations queued after it find the message at `to`.
  virtual void receive(Context&, float* to, int64_t count) = 0;
};

/// kAlone: both ends in this process, for tests on one device: what is sent is received.
enum class LinkSide : uint8_t { kSender, kReceiver, kAlone };
struct DeviceLinkSetup {
  std::string id;  ///< of Backend::new_link_id(), the same at both ends
  LinkSide side = LinkSide::kSender;
  int64_t max_count = 0;  ///< floats of the longest message
  double timeout_s = 60;  ///< for the ends to meet
};
/// Device memory of one end of a link.
constexpr int64_t link_bytes(int64_t max_count) { return 2 * max_count * 4; }

class Backend {
 public:
  virtual ~Backend() = default;
  virtual BackendKind kind() const = 0;
  std::string name() const { return std::string(llmpq::name(kind())); }
  virtual const Ops& ops() const = 0;
  /// The device that this backend computes on, with the memory that is free now.
  virtual DeviceInfo device() const = 0;
  virtual std::unique_ptr<Context> make_context() = 0;
  /// How inputs of products with weights of this format are rounded unless the job says otherwise.
  virtual ActivationType default_activation(Format format) const = 0;

  /// The kernels among which Ops::linear chooses for integer weights whose inputs are rounded so;
  /// none where there is no choice (a CPU).
  virtual ProductKernelSet product_kernels(Context&, ActivationType) const { return {}; }
  /// How it chooses from now on; without lines by what is usual. Recordings made before keep their
  /// kernels.
  virtual void choose_products(std::span<const ProductChoice> /*lines*/) {}

  /// Device memory, zeroed. Throws Error(kNoPlan) when there is not so much.
  virtual Buffer allocate(int64_t bytes) = 0;
  /// Host memory, zeroed, which the device reads and writes directly (CUDA: pinned).
  virtual Buffer allocate_staging(int64_t bytes) = 0;
  /// Queued like an operation: `host` must stay as it is until a synchronize(). From and to staging
  /// memory the transfer overlaps with the host's work.
  virtual void copy_to_device(Context&, void* device, const void* host, int64_t bytes) = 0;
  virtual void copy_to_host(Context&, void* host, const void* device, int64_t bytes) = 0;

  int64_t packed_bytes(Format format, int64_t n, int64_t k) const {
    return llmpq::packed_bytes(kind(), format, n, k);
  }
  /// Rounds and packs rows [row_begin, row_begin + rows) of a matrix: `values` is row-major f32
  /// [rows, k] in host memory, free again when the call returns. `w.packed` must have
  /// packed_bytes(w.format, w.n, w.k) bytes. The CPU's and CUDA's rounding give the same integers
  /// and scales.
  virtual void pack_rows(Context&, Matrix& w, int64_t row_begin, int64_t rows,
                         const float* values) = 0;

  /// The same with the scales given: [rows, groups of w.k] finite f32 that are not negative, in
  /// host memory; q = round(value / scale) from w.format's -max_abs - 1 to max_abs (of w8 on CUDA
  /// from -127). Integer formats only.
  virtual void pack_scaled_rows(Context&, Matrix& w, int64_t row_begin, int64_t rows,
                                const float* values, const float* scales) = 0;

  /// pack_rows() for rows of a source, begin counted from row_begin, strip by strip. Host memory
  /// besides: kStripsAhead + 1 strips of about `strip_bytes`; on a CPU one of at most 256 KiB (or
  /// 16 rows) for each thread, and nothing for whole tiles that lie in memory. Throws what read()
  /// throws, which is asked for all rows that cannot be rounded.
  virtual void pack_from(Context&, Matrix& w, int64_t row_begin, int64_t rows, int64_t strip_bytes,
                         const RowSource& source);
  /// A row-major table [rows, columns] of 16-bit numbers, kBf16 or kF16, from the same kind of
  /// source, rounded to nearest; in as much host memory.
  virtual void fill_table(Context&, const HalvesTable& table, int64_t strip_bytes,
                          const RowSource& source);

  /// From now on cpu_seconds() counts all threads.
  virtual void count_cpu_seconds() {}
  /// CPU seconds that the calling thread has used and that the backend's others computed for it,
  /// without those in which they waited for each other. 0 where the device is no CPU.
  virtual double cpu_seconds() const { return 0; }

  /// What this thread queues between the two is shown under that name by the device's profiler
  /// (CUDA: NVTX). They nest.
  virtual void begin_range(const std::string& /*name*/) {}
  virtual void end_range() {}

  /// Why devices of this kind cannot be linked; empty if they can.
  virtual std::string why_no_links() const { return "a CPU's memory is the host's"; }
  /// What the two ends of a link meet by.
  virtual std::string new_link_id();
  /// Waits for the other end. Error(kMpi) if it does not come in time.
  virtual std::unique_ptr<DeviceLink> make_link(const DeviceLinkSetup& setup);
};

/// What packing of every backend checks first: rows within the matrix, a buffer of its size.
void check_pack(const Matrix& w, int64_t want_bytes, int64_t row_begin, int64_t rows);

/// The CPU backend with that many threads (0: as many as the process may use). `isa`: auto, plain,
/// avx2, vnni or amx; Error(kUsage) if this CPU lacks it.
std::unique_ptr<Backend> make_cpu_backend(int threads, const std::string& isa);

struct CudaOptions {
  int device = 0;            ///< index among the devices that this process sees
  int sms = 0;               ///< compute on so many SMs only; 0 = all
  int64_t memory_bytes = 0;  ///< allocate at most so much; 0 = what is free
};

/// The GPUs that this process sees, in CUDA's order; where there are none, `why` says why.
struct CudaDevices {
  std::vector<DeviceInfo> list;
  std::string why_none;
};
CudaDevices find_cuda_devices();

/// A backend on one GPU. Error(kGpu): no module in this build, no driver, no such device, an
/// architecture that the build lacks.
std::unique_ptr<Backend> make_cuda_backend(const CudaOptions& options);

}  // namespace llmpq
