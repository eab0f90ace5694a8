// The program's side of the CUDA module: Backend, Context and Ops in terms of its table.
#include "kernels/backend.hpp"

#include <array>
#include <cstring>
#include <utility>

#include "kernels/check.hpp"
#include "kernels/cuda/layout.hpp"
#include "kernels/cuda/loader.hpp"

namespace llmpq {
namespace {

using cuda::Failure;

constexpr int kMostDevices = 64;
constexpr int kHasBf16 = 80;  ///< compute capability

const cuda::Module& module() { return *cuda::loaded_module().module; }

/// call(arguments..., failure), or what it failed with as an Error.
template <typename Call, typename... Args>
void checked(Call call, Args&&... args) {
  Failure failure;
  if (!call(std::forward<Args>(args)..., failure)) cuda::throw_failure(failure);
}

DeviceInfo info_of(const cuda::DeviceRow& row) {
  return {.name = row.name,
          .uuid = row.uuid,
          .memory_bytes = row.memory_bytes,
          .free_bytes = row.free_bytes,
          .compute_units = row.sms,
          .compute_capability = row.compute_capability,
          .pci = row.pci,
          .isa = {}};
}

class CudaContext final : public Context {
 public:
  explicit CudaContext(cuda::Session& session) {
    checked(module().open_context, session, &context_);
  }
  ~CudaContext() override { module().close_context(context_); }
  CudaContext(const CudaContext&) = delete;
  CudaContext& operator=(const CudaContext&) = delete;

  void synchronize() override { checked(module().synchronize, *context_); }
  void reserve_scratch(int64_t bytes) override {
    checked(module().reserve_scratch, *context_, bytes);
  }

  void run_recorded(uint64_t key, const std::function<void()>& work) override {
    bool known = false, record = false;
    checked(module().launch_recorded, *context_, key, &known, &record);
    if (known) return;
    if (!record) return work();
    checked(module().begin_recording, *context_);
    try {
      work();
    } catch (...) {
      module().drop_recording(*context_);
      throw;
    }
    checked(module().end_recording, *context_, key);
  }

  cuda::StreamContext& stream() { return *context_; }

 private:
  cuda::StreamContext* context_ = nullptr;
};

cuda::StreamContext& stream(Context& context) {
  return static_cast<CudaContext&>(context).stream();
}

/// The entry of Ops for an entry of ModuleOps.
template <auto operation, typename Args>
void queue(Context& context, const Args& args) {
  checked(module().ops.*operation, stream(context), args);
}

DType input_type(Context& context, const LinearArgs& args) {
  DType type = DType::kF32;
  checked(module().input_type, stream(context), args, &type);
  return type;
}

constexpr Ops kOps = {
    .embed = queue<&cuda::ModuleOps::embed, EmbedArgs>,
    .norm = queue<&cuda::ModuleOps::norm, NormArgs>,
    .head_norm = queue<&cuda::ModuleOps::head_norm, HeadNormArgs>,
    .add = queue<&cuda::ModuleOps::add, AddArgs>,
    .rope = queue<&cuda::ModuleOps::rope, RopeArgs>,
    .linear = queue<&cuda::ModuleOps::linear, LinearArgs>,
    .activation = queue<&cuda::ModuleOps::activation, ActivationArgs>,
    .kv_write = queue<&cuda::ModuleOps::kv_write, KvWriteArgs>,
    .attention = queue<&cuda::ModuleOps::attention, AttentionArgs>,
    .gather_rows = queue<&cuda::ModuleOps::gather_rows, GatherRowsArgs>,
    .add_rows = queue<&cuda::ModuleOps::add_rows, AddRowsArgs>,
    .route = queue<&cuda::ModuleOps::route, RouteArgs>,
    .sample = queue<&cuda::ModuleOps::sample, SampleArgs>,
    .score = queue<&cuda::ModuleOps::score, ScoreArgs>,
    .input_type = input_type,
};

class CudaLink final : public DeviceLink {
 public:
  CudaLink(cuda::Session& session, const cuda::LinkOptions& options) {
    checked(module().open_link, session, options, &link_);
  }
  ~CudaLink() override { module().close_link(link_); }
  CudaLink(const CudaLink&) = delete;
  CudaLink& operator=(const CudaLink&) = delete;

  void send(Context& context, const float* from, int64_t count) override {
    checked(module().link_send, *link_, stream(context), from, count);
  }
  void receive(Context& context, float* to, int64_t count) override {
    checked(module().link_receive, *link_, stream(context), to, count);
  }

 private:
  cuda::Link* link_ = nullptr;
};

class CudaBackend final : public Backend {
 public:
  explicit CudaBackend(const CudaOptions& options) {
    checked(module().open_session,
            cuda::SessionOptions{options.device, options.sms, options.memory_bytes}, &session_);
    compute_capability_ = device().compute_capability;
  }
  ~CudaBackend() override { module().close_session(session_); }
  CudaBackend(const CudaBackend&) = delete;
  CudaBackend& operator=(const CudaBackend&) = delete;

  BackendKind kind() const override { return BackendKind::kCuda; }
  const Ops& ops() const override { return kOps; }

  DeviceInfo device() const override {
    cuda::DeviceRow row{};
    checked(module().device_row, *session_, &row);
    return info_of(row);
  }

  std::unique_ptr<Context> make_context() override {
    return std::make_unique<CudaContext>(*session_);
  }

  /// The type that tensor cores multiply: f16 for f16 weights and on chips that have no bf16.
  ActivationType default_activation(Format format) const override {
    return format == Format::kF16 || compute_capability_ < kHasBf16 ? ActivationType::kF16
                                                                    : ActivationType::kBf16;
  }

  ProductKernelSet product_kernels(Context& context, ActivationType activation) const override {
    ProductKernelSet there;
    checked(module().product_kernels, stream(context), activation, &there);
    return there;
  }
  void choose_products(std::span<const ProductChoice> lines) override {
    checked(module().choose_products, *session_, lines.data(), std::ssize(lines));
  }

  Buffer allocate(int64_t bytes) override {
    return make_buffer(module().allocate, bytes, module().release);
  }
  Buffer allocate_staging(int64_t bytes) override {
    return make_buffer(module().allocate_pinned, bytes, module().release_pinned);
  }

  void copy_to_device(Context& context, void* device, const void* host, int64_t bytes) override {
    if (bytes > 0) checked(module().copy_to_device, stream(context), device, host, bytes);
  }
  void copy_to_host(Context& context, void* host, const void* device, int64_t bytes) override {
    if (bytes > 0) checked(module().copy_to_host, stream(context), host, device, bytes);
  }

  void pack_rows(Context& context, Matrix& w, int64_t row_begin, int64_t rows,
                 const float* values) override {
    check_pack(w, packed_bytes(w.format, w.n, w.k), row_begin, rows);
    if (rows > 0) checked(module().pack_rows, stream(context), w, row_begin, rows, values, nullptr);
  }
  void pack_scaled_rows(Context& context, Matrix& w, int64_t row_begin, int64_t rows,
                        const float* values, const float* scales) override {
    check_pack(w, packed_bytes(w.format, w.n, w.k), row_begin, rows);
    if (rows > 0) checked(module().pack_rows, stream(context), w, row_begin, rows, values, scales);
  }

  void begin_range(const std::string& name) override { module().push_range(name.c_str()); }
  void end_range() override { module().pop_range(); }

  std::string why_no_links() const override {
    const char* why = module().why_no_nccl();
    return why == nullptr ? "" : why;
  }
  std::string new_link_id() override {
    cuda::LinkId id{};
    checked(module().new_link_id, &id);
    return {id.bytes, sizeof(id.bytes)};
  }
  std::unique_ptr<DeviceLink> make_link(const DeviceLinkSetup& setup) override {
    cuda::LinkOptions options{
        {}, static_cast<cuda::LinkRole>(setup.side), setup.max_count, setup.timeout_s};
    CHECK(setup.id.size() == sizeof(options.id.bytes), Exit::kMpi,
          "the id of a GPU link has {} bytes, want {}", setup.id.size(), sizeof(options.id.bytes));
    std::memcpy(options.id.bytes, setup.id.data(), setup.id.size());
    return std::make_unique<CudaLink>(*session_, options);
  }

 private:
  template <typename Allocate>
  Buffer make_buffer(Allocate allocate, int64_t bytes, Buffer::Deleter release) {
    CHECK(bytes >= 0, Exit::kNoPlan, "cannot allocate {} bytes", bytes);
    if (bytes == 0) return {};
    void* data = nullptr;
    checked(allocate, *session_, bytes, &data);
    return Buffer(data, bytes, release);
  }

  cuda::Session* session_ = nullptr;
  int compute_capability_ = 0;
};

}  // namespace

CudaDevices find_cuda_devices() {
  CudaDevices found;
  const cuda::Loaded& loaded = cuda::loaded_module();
  if (loaded.module == nullptr) {
    found.why_none = loaded.why_none;
    return found;
  }
  std::array<cuda::DeviceRow, kMostDevices> rows{};
  int count = 0;
  Failure failure;
  if (!loaded.module->devices(rows.data(), kMostDevices, &count, failure))
    cuda::throw_failure(failure);
  found.why_none = failure.sentence;
  for (int i = 0; i < count; ++i) found.list.push_back(info_of(rows[static_cast<size_t>(i)]));
  return found;
}

std::unique_ptr<Backend> make_cuda_backend(const CudaOptions& options) {
  const CudaDevices devices = find_cuda_devices();
  CHECK(!devices.list.empty(), Exit::kGpu, "no GPU can be used: {}", devices.why_none);
  CHECK(options.device >= 0 && options.device < std::ssize(devices.list), Exit::kGpu,
        "GPU {} was asked for, this process sees {}", options.device, devices.list.size());
  return std::make_unique<CudaBackend>(options);
}

}  // namespace llmpq
