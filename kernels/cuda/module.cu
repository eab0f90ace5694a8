// The module's one entry: its table of functions. Each turns what it meets into a Failure, since no
// exception may cross into the program.
#include "kernels/cuda/link.cuh"
#include "kernels/cuda/marks.cuh"
#include "kernels/cuda/session.cuh"

namespace llmpq::cuda {
namespace {

/// The current device belongs to the calling thread, and a stage is run by more than one.
void use_device(const Session& session) { CHECK_CUDA(cudaSetDevice(session.options.device)); }

/// An operation at the border.
template <typename Args, void (*operation)(StreamContext&, const Args&)>
bool queue(StreamContext& context, const Args& args, Failure& failure) {
  return guarded(failure, [&] {
    use_device(*context.session);
    operation(context, args);
  });
}

void release_pinned(void* data) { cudaFreeHost(data); }

void copy(StreamContext& context, void* to, const void* from, int64_t bytes, cudaMemcpyKind kind) {
  use_device(*context.session);
  CHECK_CUDA(cudaMemcpyAsync(to, from, static_cast<size_t>(bytes), kind, context.stream));
}

constexpr ModuleOps kOps = {
    .embed = queue<EmbedArgs, embed>,
    .norm = queue<NormArgs, norm>,
    .head_norm = queue<HeadNormArgs, head_norm>,
    .add = queue<AddArgs, add>,
    .rope = queue<RopeArgs, rope>,
    .linear = queue<LinearArgs, linear>,
    .activation = queue<ActivationArgs, activation>,
    .kv_write = queue<KvWriteArgs, kv_write>,
    .attention = queue<AttentionArgs, attention>,
    .gather_rows = queue<GatherRowsArgs, gather_rows>,
    .add_rows = queue<AddRowsArgs, add_rows>,
    .route = queue<RouteArgs, route>,
    .sample = queue<SampleArgs, sample>,
    .score = queue<ScoreArgs, score>,
};

const Module kModule = {
    .version = kModuleVersion,
    .architectures = kArchitectures,
    .toolkit = CUDART_VERSION,
    .devices =
        [](DeviceRow* rows, int capacity, int* count, Failure& failure) {
          return guarded(failure, [&] { *count = find_devices(rows, capacity, failure); });
        },
    .device_row =
        [](Session& session, DeviceRow* row, Failure& failure) {
          return guarded(failure, [&] { describe_session(session, *row); });
        },
    .open_session =
        [](const SessionOptions& options, Session** session, Failure& failure) {
          return guarded(failure, [&] { *session = open_session(options); });
        },
    .close_session = close_session,
    .allocate =
        [](Session& session, int64_t bytes, void** data, Failure& failure) {
          return guarded(failure, [&] { *data = allocate(session, bytes); });
        },
    .release = release,
    .allocate_pinned =
        [](Session& session, int64_t bytes, void** data, Failure& failure) {
          return guarded(failure, [&] { *data = allocate_pinned(session, bytes); });
        },
    .release_pinned = release_pinned,
    .open_context =
        [](Session& session, StreamContext** context, Failure& failure) {
          return guarded(failure, [&] { *context = open_context(session); });
        },
    .close_context = close_context,
    .synchronize =
        [](StreamContext& context, Failure& failure) {
          return guarded(failure, [&] { CHECK_CUDA(cudaStreamSynchronize(context.stream)); });
        },
    .reserve_scratch =
        [](StreamContext& context, int64_t bytes, Failure& failure) {
          return guarded(failure, [&] { reserve_scratch(context, bytes); });
        },
    .launch_recorded =
        [](StreamContext& context, uint64_t key, bool* known, bool* record, Failure& failure) {
          return guarded(failure, [&] {
            use_device(*context.session);
            *known = launch_recorded(context, key, *record);
          });
        },
    .begin_recording =
        [](StreamContext& context, Failure& failure) {
          return guarded(failure, [&] { begin_recording(context); });
        },
    .end_recording =
        [](StreamContext& context, uint64_t key, Failure& failure) {
          return guarded(failure, [&] { end_recording(context, key); });
        },
    .drop_recording = drop_recording,
    .copy_to_device =
        [](StreamContext& context, void* device, const void* host, int64_t bytes,
           Failure& failure) {
          return guarded(failure,
                         [&] { copy(context, device, host, bytes, cudaMemcpyHostToDevice); });
        },
    .copy_to_host =
        [](StreamContext& context, void* host, const void* device, int64_t bytes,
           Failure& failure) {
          return guarded(failure,
                         [&] { copy(context, host, device, bytes, cudaMemcpyDeviceToHost); });
        },
    .pack_rows =
        [](StreamContext& context, Matrix& w, int64_t row_begin, int64_t rows, const float* values,
           const float* scales, Failure& failure) {
          return guarded(failure, [&] {
            use_device(*context.session);
            pack_rows(context, w, row_begin, rows, values, scales);
          });
        },
    .ops = kOps,
    .input_type =
        [](StreamContext& context, const LinearArgs& args, DType* type, Failure& failure) {
          return guarded(failure, [&] { *type = input_type(context, args); });
        },
    .product_kernels =
        [](StreamContext& context, ActivationType activation, ProductKernelSet* there,
           Failure& failure) {
          return guarded(failure, [&] {
            use_device(*context.session);
            *there = product_kernels(context, activation);
          });
        },
    .choose_products =
        [](Session& session, const ProductChoice* lines, int64_t count, Failure& failure) {
          return guarded(failure, [&] { session.products.assign(lines, lines + count); });
        },
    .push_range = push_range,
    .pop_range = pop_range,
    .why_no_nccl = why_no_nccl,
    .new_link_id = [](LinkId* id,
                      Failure& failure) { return guarded(failure, [&] { *id = new_link_id(); }); },
    .open_link =
        [](Session& session, const LinkOptions& options, Link** link, Failure& failure) {
          return guarded(failure, [&] { *link = open_link(session, options); });
        },
    .close_link = close_link,
    .link_send =
        [](Link& link, StreamContext& context, const float* from, int64_t count, Failure& failure) {
          return guarded(failure, [&] { link_send(link, context, from, count); });
        },
    .link_receive =
        [](Link& link, StreamContext& context, float* to, int64_t count, Failure& failure) {
          return guarded(failure, [&] { link_receive(link, context, to, count); });
        },
};

}  // namespace
}  // namespace llmpq::cuda

extern "C" __attribute__((visibility("default"))) const llmpq::cuda::Module* llmpq_cuda_module() {
  return &llmpq::cuda::kModule;
}
