// The border between the program and its CUDA module, a library of its own that is opened at run
// time (so the program starts where CUDA's libraries are missing). Plain structs and function
// pointers; no exception crosses it: a call that fails returns false and leaves a Failure.
#pragma once

#include <cstdint>

#include "kernels/backend.hpp"
#include "kernels/product_kernels.hpp"

namespace llmpq::cuda {

/// Program and module must agree on this: both are built from one source tree.
inline constexpr uint32_t kModuleVersion = 4;
inline constexpr char kModuleFile[] = "libllmpq_cuda.so";
inline constexpr char kModuleEntry[] = "llmpq_cuda_module";

/// What went wrong: an exit code of kernels/check.hpp and a sentence.
struct Failure {
  int code = 0;
  char sentence[1024] = {};
};

/// One device as the driver tells it.
struct DeviceRow {
  char name[256];
  char uuid[48];  ///< "GPU-...", as nvidia-smi prints it
  char pci[32];   ///< domain:bus:device.function
  int64_t memory_bytes, free_bytes;
  int sms;
  int compute_capability;  ///< major * 10 + minor
};

/// What a session is opened with.
struct SessionOptions {
  int device = 0;
  int sms = 0;               ///< use only so many SMs; 0 = all
  int64_t memory_bytes = 0;  ///< allocate at most so much; 0 = what is free
};

/// What both ends of a link must know to meet: made by one of them, carried over MPI.
struct LinkId {
  char bytes[128];
};
/// kAlone: both ends are this process, for tests on one GPU: what is sent is received.
enum class LinkRole : uint8_t { kSender, kReceiver, kAlone };
struct LinkOptions {
  LinkId id;
  LinkRole role;
  int64_t slot_floats;  ///< of the longest message
  double timeout_s;     ///< for the ends to meet
};

struct Session;        ///< a device in use by this process
struct StreamContext;  ///< a stream with scratch memory
struct Link;           ///< NCCL between this rank and one other

/// Operations of the module: like Ops, but they return whether they could be queued.
struct ModuleOps {
  bool (*embed)(StreamContext&, const EmbedArgs&, Failure&);
  bool (*norm)(StreamContext&, const NormArgs&, Failure&);
  bool (*head_norm)(StreamContext&, const HeadNormArgs&, Failure&);
  bool (*add)(StreamContext&, const AddArgs&, Failure&);
  bool (*rope)(StreamContext&, const RopeArgs&, Failure&);
  bool (*linear)(StreamContext&, const LinearArgs&, Failure&);
  bool (*activation)(StreamContext&, const ActivationArgs&, Failure&);
  bool (*kv_write)(StreamContext&, const KvWriteArgs&, Failure&);
  bool (*attention)(StreamContext&, const AttentionArgs&, Failure&);
  bool (*gather_rows)(StreamContext&, const GatherRowsArgs&, Failure&);
  bool (*add_rows)(StreamContext&, const AddRowsArgs&, Failure&);
  bool (*route)(StreamContext&, const RouteArgs&, Failure&);
  bool (*sample)(StreamContext&, const SampleArgs&, Failure&);
  bool (*score)(StreamContext&, const ScoreArgs&, Failure&);
};

/// Everything that the module can do. All pointers are set.
struct Module {
  uint32_t version;
  const char* architectures;  ///< what it was compiled for: "75 80 90"
  int toolkit;                ///< CUDA version of the build: 13000 for 13.0

  /// The devices that this process sees; *count is 0 without a driver or a GPU, with the reason in
  /// the failure's sentence although the call returns true.
  bool (*devices)(DeviceRow* rows, int capacity, int* count, Failure&);
  bool (*device_row)(Session&, DeviceRow*, Failure&);

  bool (*open_session)(const SessionOptions&, Session**, Failure&);
  void (*close_session)(Session*);
  bool (*allocate)(Session&, int64_t bytes, void** data, Failure&);
  void (*release)(void* data);  ///< of allocate()
  bool (*allocate_pinned)(Session&, int64_t bytes, void** data, Failure&);
  void (*release_pinned)(void* data);

  bool (*open_context)(Session&, StreamContext**, Failure&);
  void (*close_context)(StreamContext*);
  bool (*synchronize)(StreamContext&, Failure&);
  bool (*reserve_scratch)(StreamContext&, int64_t bytes, Failure&);
  /// *known: a recording with this key was launched. Otherwise the caller queues the operations,
  /// between begin and end if *record says so.
  bool (*launch_recorded)(StreamContext&, uint64_t key, bool* known, bool* record, Failure&);
  bool (*begin_recording)(StreamContext&, Failure&);
  bool (*end_recording)(StreamContext&, uint64_t key, Failure&);
  void (*drop_recording)(StreamContext&);  ///< after a failure between begin and end

  bool (*copy_to_device)(StreamContext&, void* device, const void* host, int64_t bytes, Failure&);
  bool (*copy_to_host)(StreamContext&, void* host, const void* device, int64_t bytes, Failure&);
  /// Rows of `values` (host, [rows, k] f32) into a matrix whose packed bytes lie at w.packed.
  /// `scales` (host, [rows, groups]): null, or the steps to round to instead of absmax / max_abs.
  bool (*pack_rows)(StreamContext&, Matrix& w, int64_t row_begin, int64_t rows, const float* values,
                    const float* scales, Failure&);

  ModuleOps ops;
  bool (*input_type)(StreamContext&, const LinearArgs&, DType*, Failure&);  ///< Ops::input_type

  /// The kernels among which ops.linear chooses for integer weights.
  bool (*product_kernels)(StreamContext&, ActivationType, ProductKernelSet*, Failure&);
  /// How it chooses from now on, in all contexts of the session.
  bool (*choose_products)(Session&, const ProductChoice* lines, int64_t count, Failure&);

  void (*push_range)(const char* name);  ///< for profilers; nothing without one
  void (*pop_range)();

  /// nullptr, or why NCCL cannot be used.
  const char* (*why_no_nccl)();
  bool (*new_link_id)(LinkId*, Failure&);
  bool (*open_link)(Session&, const LinkOptions&, Link**, Failure&);
  void (*close_link)(Link*);
  bool (*link_send)(Link&, StreamContext&, const float* from, int64_t count, Failure&);
  bool (*link_receive)(Link&, StreamContext&, float* to, int64_t count, Failure&);
};

using ModuleEntry = const Module* (*)();

}  // namespace llmpq::cuda
