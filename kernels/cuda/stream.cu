// Streams: scratch memory, and recording of operations as graphs.
#include "kernels/cuda/session.cuh"

namespace llmpq::cuda {
namespace {

/// A key must come up so often before its operations are recorded: recording costs some
/// milliseconds, which a batch size that is seen once never gives back.
constexpr int kAskedBeforeRecording = 2;
/// Recordings hold memory of the driver: when there are so many, all are dropped.
constexpr size_t kMostRecordings = 256;

void check_cublas(cublasStatus_t status, const char* what) {
  if (status != CUBLAS_STATUS_SUCCESS) raise(kGpu, "%s: %s", what, cublasGetStatusString(status));
}

void drop_recordings(StreamContext& context) {
  for (auto& [key, recording] : context.recordings)
    if (recording.graph != nullptr) cudaGraphExecDestroy(recording.graph);
  context.recordings.clear();
}

void grow_scratch(StreamContext& context, int64_t bytes) {
  CHECK_CUDA(cudaStreamSynchronize(context.stream));
  drop_recordings(context);  // they point into the old memory
  release(context.scratch);
  context.scratch = nullptr;
  context.scratch_bytes = 0;
  context.scratch = static_cast<std::byte*>(allocate(*context.session, bytes));
  context.scratch_bytes = bytes;
}

}  // namespace

Scratch::Scratch(StreamContext& context, int64_t bytes) {
  if (bytes > context.scratch_bytes) {
    if (context.scratch_fixed)
      raise(kInternal, "an operation needs %lld bytes of scratch memory, %lld were reserved",
            static_cast<long long>(bytes), static_cast<long long>(context.scratch_bytes));
    grow_scratch(context, bytes + bytes / 4);
  }
  next_ = context.scratch;
  end_ = context.scratch + bytes;
}

StreamContext* open_context(Session& session) {
  CHECK_CUDA(cudaSetDevice(session.options.device));
  auto* context = new StreamContext;
  context->session = &session;
  try {
    if (session.green != nullptr)
      context->stream = make_green_stream(session);
    else
      CHECK_CUDA(cudaStreamCreateWithFlags(&context->stream, cudaStreamNonBlocking));
    check_cublas(cublasCreate(&context->cublas), "cublasCreate");
    check_cublas(cublasSetStream(context->cublas, context->stream), "cublasSetStream");
    context->cublas_workspace = allocate(session, kCublasWorkspaceBytes);
    check_cublas(
        cublasSetWorkspace(context->cublas, context->cublas_workspace, kCublasWorkspaceBytes),
        "cublasSetWorkspace");
    context->counters = static_cast<unsigned*>(
        allocate(session, kCounters * static_cast<int64_t>(sizeof(unsigned))));
  } catch (...) {
    close_context(context);
    throw;
  }
  return context;
}

void close_context(StreamContext* context) {
  if (context->stream != nullptr) cudaStreamSynchronize(context->stream);
  drop_recordings(*context);
  for (auto& strip : context->strips) {
    if (strip.done != nullptr) cudaEventDestroy(strip.done);
    cudaFreeHost(strip.pinned);
    cudaFree(strip.device);
  }
  release(context->scratch);
  if (context->cublas != nullptr) cublasDestroy(context->cublas);
  release(context->cublas_workspace);
  release(context->counters);
  if (context->stream != nullptr) cudaStreamDestroy(context->stream);
  delete context;
}

void reserve_scratch(StreamContext& context, int64_t bytes) {
  if (bytes > context.scratch_bytes) grow_scratch(context, bytes);
  context.scratch_fixed = true;
}

/// True: launched. Otherwise `record` says whether it is time to record.
bool launch_recorded(StreamContext& context, uint64_t key, bool& record) {
  if (context.recordings.size() >= kMostRecordings && !context.recordings.contains(key)) {
    CHECK_CUDA(cudaStreamSynchronize(context.stream));
    drop_recordings(context);
  }
  Recording& recording = context.recordings[key];
  if (recording.graph != nullptr) {
    CHECK_CUDA(cudaGraphLaunch(recording.graph, context.stream));
    return true;
  }
  record = ++recording.asked > kAskedBeforeRecording;
  return false;
}

void begin_recording(StreamContext& context) {
  CHECK_CUDA(cudaStreamBeginCapture(context.stream, cudaStreamCaptureModeThreadLocal));
}

void end_recording(StreamContext& context, uint64_t key) {
  cudaGraph_t graph = nullptr;
  CHECK_CUDA(cudaStreamEndCapture(context.stream, &graph));
  Recording& recording = context.recordings[key];
  const cudaError_t status = cudaGraphInstantiate(&recording.graph, graph, 0);
  cudaGraphDestroy(graph);
  check_cuda(status, "cudaGraphInstantiate");
  CHECK_CUDA(cudaGraphLaunch(recording.graph, context.stream));
}

void drop_recording(StreamContext& context) {
  cudaGraph_t graph = nullptr;
  if (cudaStreamEndCapture(context.stream, &graph) == cudaSuccess && graph != nullptr)
    cudaGraphDestroy(graph);
  cudaGetLastError();
}

}  // namespace llmpq::cuda
