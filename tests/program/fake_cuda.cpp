// A CUDA module without CUDA: GPUs that only bind, allocate and copy, in host memory. With it the
// binding of ranks is tested on machines without a GPU. FAKE_GPUS: how many each rank sees;
// FAKE_GPU_PER_TASK: each rank of the node sees one of its own, as under srun --gpus-per-task=1.
// FAKE_GPU_HOSTS: those of another host are others; without it all hosts pretend the same ones.
// FAKE_GPU_CAPABILITY: 80 unless said.
// FAKE_GPU_TELLS: on stderr, how products are to choose their kernels.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "kernels/cuda/module.hpp"

namespace llmpq::cuda {

struct Session {
  SessionOptions options;
};
struct StreamContext {};

namespace {

int number(const char* name, int otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::atoi(text);
}

void describe(int device, DeviceRow& row) {
  const bool per_task = std::getenv("FAKE_GPU_PER_TASK") != nullptr;
  const int which = per_task ? number("OMPI_COMM_WORLD_LOCAL_RANK", 0) : device;
  std::snprintf(row.name, sizeof row.name, "NVIDIA Fake");
  char host[16] = "fake";
  if (std::getenv("FAKE_GPU_HOSTS") != nullptr) gethostname(host, sizeof host - 1);
  std::snprintf(row.uuid, sizeof row.uuid, "GPU-%08d-%s", which, host);
  std::snprintf(row.pci, sizeof row.pci, "ffff:%02x:00.0", which);
  row.memory_bytes = int64_t{80} << 30;
  row.free_bytes = int64_t{70} << 30;
  row.sms = 108;
  row.compute_capability = number("FAKE_GPU_CAPABILITY", 80);
}

bool devices(DeviceRow* rows, int capacity, int* count, Failure&) {
  *count = std::getenv("FAKE_GPU_PER_TASK") != nullptr ? 1 : number("FAKE_GPUS", 1);
  for (int i = 0; i < *count && i < capacity; ++i) describe(i, rows[i]);
  return true;
}

bool device_row(Session& session, DeviceRow* row, Failure&) {
  describe(session.options.device, *row);
  if (session.options.sms > 0) row->sms = session.options.sms;
  return true;
}

bool open_session(const SessionOptions& options, Session** session, Failure&) {
  *session = new Session{options};
  return true;
}
void close_session(Session* session) { delete session; }

bool allocate(Session&, int64_t bytes, void** data, Failure&) {
  *data = std::calloc(1, static_cast<size_t>(bytes));
  return true;
}
void release(void* data) { std::free(data); }

bool open_context(Session&, StreamContext** context, Failure&) {
  *context = new StreamContext;
  return true;
}
void close_context(StreamContext* context) { delete context; }
bool synchronize(StreamContext&, Failure&) { return true; }

bool copy(StreamContext&, void* to, const void* from, int64_t bytes, Failure&) {
  std::memcpy(to, from, static_cast<size_t>(bytes));
  return true;
}

bool choose_products(Session&, const ProductChoice* lines, int64_t count, Failure&) {
  if (std::getenv("FAKE_GPU_TELLS") == nullptr) return true;
  std::fprintf(stderr, "fake GPU: %d choices\n", static_cast<int>(count));
  for (int64_t i = 0; i < count; ++i)
    std::fprintf(stderr, "fake GPU: up to %d rows kernel %d\n",
                 static_cast<int>(lines[i].most_rows), static_cast<int>(lines[i].kernel));
  return true;
}

const char* why_no_nccl() { return "these GPUs are not real"; }

Module make_module() {
  Module module{};  // what these tests do not call stays null
  module.version = kModuleVersion;
  module.architectures = "80";
  module.devices = devices;
  module.device_row = device_row;
  module.open_session = open_session;
  module.close_session = close_session;
  module.allocate = allocate;
  module.release = release;
  module.allocate_pinned = allocate;
  module.release_pinned = release;
  module.open_context = open_context;
  module.close_context = close_context;
  module.synchronize = synchronize;
  module.choose_products = choose_products;
  module.copy_to_device = copy;
  module.copy_to_host = copy;
  module.why_no_nccl = why_no_nccl;
  return module;
}

}  // namespace
}  // namespace llmpq::cuda

extern "C" const llmpq::cuda::Module* llmpq_cuda_module() {
  static const llmpq::cuda::Module module = llmpq::cuda::make_module();
  return &module;
}
