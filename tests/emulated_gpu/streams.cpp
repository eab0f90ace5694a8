// Streams, events and graphs of the emulated runtime. A stream is a queue of functions. Usually
// each runs when it is queued; LLMPQ_EMULATED_STREAMS=late runs none before somebody waits for it,
// which shows a missing wait.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "fault.hpp"
#include "runtime.hpp"
#include "warp.hpp"

/// One of both.
struct Work {
  std::function<void()> function;
  std::shared_ptr<const llmpq::emulated::Launch> kernel;
};

struct CUgraph_st {
  std::vector<Work> nodes;
};
struct CUgraphExec_st {
  std::shared_ptr<const std::vector<Work>> nodes;
};
/// Streams live on when they are destroyed: events may name them.
struct CUstream_st {
  std::deque<Work> queue;
  uint64_t queued = 0, done = 0;  ///< counted since the stream was made
  std::unique_ptr<CUgraph_st> recorded;
  std::thread::id recorder;
};
struct CUevent_st {
  cudaStream_t stream = nullptr;
  uint64_t after = 0;  ///< so much of the stream's work
};

namespace llmpq::emulated {
namespace {

std::vector<std::unique_ptr<CUstream_st>>& streams() {
  static auto* const all = [] {
    auto* made = new std::vector<std::unique_ptr<CUstream_st>>;
    made->push_back(std::make_unique<CUstream_st>());  // the default stream
    return made;
  }();
  return *all;
}
CUstream_st& found(cudaStream_t stream) { return stream != nullptr ? *stream : *streams()[0]; }

bool runs_late() {
  static const bool late = [] {
    const char* wish = std::getenv("LLMPQ_EMULATED_STREAMS");
    if (wish != nullptr && std::strcmp(wish, "late") != 0 && std::strcmp(wish, "at-once") != 0)
      fail("LLMPQ_EMULATED_STREAMS=%s: want at-once or late", wish);
    return wish != nullptr && std::strcmp(wish, "late") == 0;
  }();
  return late;
}

/// `next` comes right after it; nullptr if nothing does.
void run(const Work& work, const Work* next) {
  if (broken() != cudaSuccess) return;
  if (!work.kernel) return work.function();
  if (!may_run()) return;
  const bool starts_early = next != nullptr && next->kernel && next->kernel->early;
  run_grid(*work.kernel, starts_early ? next->kernel.get() : nullptr);
}

void run_until(CUstream_st& stream, uint64_t end) {
  while (stream.done < end && !stream.queue.empty()) {
    const Work work = std::move(stream.queue.front());
    stream.queue.pop_front();
    ++stream.done;
    run(work, stream.done < end && !stream.queue.empty() ? &stream.queue.front() : nullptr);
  }
}

cudaError_t enqueue_work(cudaStream_t to, Work work) {
  if (broken() != cudaSuccess) return broken();
  CUstream_st& stream = found(to);
  if (stream.recorded) {
    stream.recorded->nodes.push_back(std::move(work));
    return cudaSuccess;
  }
  stream.queue.push_back(std::move(work));
  ++stream.queued;
  if (!runs_late()) run_until(stream, stream.queued);
  return cudaSuccess;
}

}  // namespace

cudaError_t enqueue(cudaStream_t stream, std::function<void()> work) {
  return enqueue_work(stream, {std::move(work), nullptr});
}
cudaError_t enqueue(cudaStream_t stream, std::shared_ptr<const Launch> kernel) {
  return enqueue_work(stream, {{}, std::move(kernel)});
}

bool is_capturing() {
  for (const auto& stream : streams())
    if (stream->recorded && stream->recorder == std::this_thread::get_id()) return true;
  return false;
}

void run_all_streams() {
  for (const auto& stream : streams()) run_until(*stream, stream->queued);
}

}  // namespace llmpq::emulated

using namespace llmpq::emulated;

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  const std::lock_guard lock(runtime_lock());
  streams().push_back(std::make_unique<CUstream_st>());
  *stream = streams().back().get();
  return broken();
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  const std::lock_guard lock(runtime_lock());
  run_until(*stream, stream->queued);
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  const std::lock_guard lock(runtime_lock());
  if (is_capturing()) return result(cudaErrorStreamCaptureUnsupported);
  run_until(found(stream), found(stream).queued);
  return broken();
}
cudaError_t cudaStreamQuery(cudaStream_t stream) {
  const std::lock_guard lock(runtime_lock());
  if (is_capturing()) return result(cudaErrorStreamCaptureUnsupported);
  if (broken() != cudaSuccess) return broken();
  return found(stream).queue.empty() ? cudaSuccess : cudaErrorNotReady;
}
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  const std::lock_guard lock(runtime_lock());
  if (found(stream).recorded) return result(cudaErrorStreamCaptureUnsupported);
  if (event->stream == nullptr) return cudaSuccess;
  return enqueue(stream, [of = event->stream, after = event->after] { run_until(*of, after); });
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = new CUevent_st;
  return cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  const std::lock_guard lock(runtime_lock());
  if (found(stream).recorded) return result(cudaErrorStreamCaptureUnsupported);
  *event = {&found(stream), found(stream).queued};
  return broken();
}
/// By chance some of what is before the event runs now, as it may on a GPU.
cudaError_t cudaEventQuery(cudaEvent_t event) {
  const std::lock_guard lock(runtime_lock());
  if (broken() != cudaSuccess) return broken();
  if (event->stream == nullptr || event->stream->done >= event->after) return cudaSuccess;
  run_until(*event->stream, event->stream->done + 1);
  return cudaErrorNotReady;
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  const std::lock_guard lock(runtime_lock());
  if (is_capturing()) return result(cudaErrorStreamCaptureUnsupported);
  if (event->stream != nullptr) run_until(*event->stream, event->after);
  return broken();
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  const std::lock_guard lock(runtime_lock());
  if (stream == nullptr || stream->recorded) return result(cudaErrorStreamCaptureUnsupported);
  stream->recorded = std::make_unique<CUgraph_st>();
  stream->recorder = std::this_thread::get_id();
  return broken();
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  const std::lock_guard lock(runtime_lock());
  if (stream == nullptr || !stream->recorded) return result(cudaErrorInvalidValue);
  *graph = stream->recorded.release();
  return broken();
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* made, cudaGraph_t graph, unsigned long long) {
  *made = new CUgraphExec_st{std::make_shared<const std::vector<Work>>(graph->nodes)};
  return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t graph, cudaStream_t stream) {
  const std::lock_guard lock(runtime_lock());
  return enqueue(stream, [nodes = graph->nodes] {
    for (size_t i = 0; i < nodes->size(); ++i)
      run((*nodes)[i], i + 1 < nodes->size() ? &(*nodes)[i + 1] : nullptr);
  });
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t graph) {
  delete graph;
  return cudaSuccess;
}
