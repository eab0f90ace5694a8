// Devices, memory and streams of the module.
#include <cstring>
#include <mutex>
#include <unordered_map>

#include "kernels/cuda/session.cuh"

namespace llmpq::cuda {
namespace {

int attribute(int device, cudaDeviceAttr which) {
  int value = 0;
  CHECK_CUDA(cudaDeviceGetAttribute(&value, which, device));
  return value;
}

/// As nvidia-smi prints it.
void print_uuid(const cudaUUID_t& uuid, char* text, size_t size) {
  const auto* b = reinterpret_cast<const unsigned char*>(uuid.bytes);
  std::snprintf(text, size,
                "GPU-%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0],
                b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13],
                b[14], b[15]);
}

/// What is free of a device is only known to a process that uses it; the call makes it do so.
void read_memory(int device, DeviceRow& row) {
  size_t free = 0, total = 0;
  CHECK_CUDA(cudaSetDevice(device));
  CHECK_CUDA(cudaMemGetInfo(&free, &total));
  row.free_bytes = static_cast<int64_t>(free);
  row.memory_bytes = static_cast<int64_t>(total);
}

int compute_capability(int device) {
  return 10 * attribute(device, cudaDevAttrComputeCapabilityMajor) +
         attribute(device, cudaDevAttrComputeCapabilityMinor);
}

void describe(int device, DeviceRow& row) {
  cudaDeviceProp properties;
  CHECK_CUDA(cudaGetDeviceProperties(&properties, device));
  std::snprintf(row.name, sizeof(row.name), "%s", properties.name);
  print_uuid(properties.uuid, row.uuid, sizeof(row.uuid));
  CHECK_CUDA(cudaDeviceGetPCIBusId(row.pci, sizeof(row.pci), device));
  row.sms = attribute(device, cudaDevAttrMultiProcessorCount);
  row.compute_capability = compute_capability(device);
}

/// A trivial kernel: whether code for this device is in the module at all, and which. All kernels
/// but Hopper's own are compiled for the same architectures.
__global__ void probe_kernel() {}

/// Returns the version of the code that the device runs.
int check_architecture(int device, const DeviceRow& row) {
  cudaFuncAttributes attributes;
  const cudaError_t status = cudaFuncGetAttributes(&attributes, probe_kernel);
  if (status == cudaErrorNoKernelImageForDevice || status == cudaErrorInvalidDeviceFunction) {
    cudaGetLastError();
    raise(kGpu,
          "GPU %d (%s) has compute capability %d.%d, which this build has no code for (it has %s); "
          "build with -DLLMPQ_CUDA_ARCHITECTURES=%d",
          device, row.name, row.compute_capability / 10, row.compute_capability % 10,
          kArchitectures, row.compute_capability);
  }
  check_cuda(status, "cudaFuncGetAttributes");
  return attributes.ptxVersion;
}

const char* why_no_devices(cudaError_t status) {
  int driver = 0;
  cudaDriverGetVersion(&driver);
  static char text[512];
  if (driver == 0)
    std::snprintf(text, sizeof(text), "there is no NVIDIA driver on this machine");
  else if (status == cudaErrorInsufficientDriver || driver / 1000 < CUDART_VERSION / 1000)
    std::snprintf(text, sizeof(text),
                  "the NVIDIA driver supports CUDA %d.%d, this build needs %d.%d or newer: update "
                  "the driver, or build with an older toolkit",
                  driver / 1000, driver % 1000 / 10, CUDART_VERSION / 1000,
                  CUDART_VERSION % 1000 / 10);
  else
    std::snprintf(text, sizeof(text),
                  "the NVIDIA driver shows no GPU (%s); is CUDA_VISIBLE_DEVICES set to nothing?",
                  cudaGetErrorString(status));
  return text;
}

/// Whose device memory it is, so that a release can be counted: Buffers know only their address.
struct Allocation {
  Session* session;
  int64_t bytes;
};
struct Allocations {
  std::mutex mutex;
  std::unordered_map<void*, Allocation> list;
};
Allocations& allocations() {
  static auto* const all = new Allocations;  // lives on: buffers may outlast everything
  return *all;
}

/// Bytes that a session may still allocate.
void check_budget(const Session& session, int64_t bytes) {
  const int64_t most = session.options.memory_bytes;
  if (most > 0 && bytes > most - session.allocated_bytes)
    raise(kNoPlan,
          "cannot allocate %.1f MiB on the GPU: %.1f of the %.1f MiB that this rank may use are "
          "taken; use fewer bits, a smaller batch or more ranks",
          bytes / 1048576.0, session.allocated_bytes / 1048576.0, most / 1048576.0);
}

}  // namespace

int find_devices(DeviceRow* rows, int capacity, Failure& why_none) {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status != cudaSuccess || count == 0) {
    cudaGetLastError();
    std::snprintf(why_none.sentence, sizeof(why_none.sentence), "%s", why_no_devices(status));
    return 0;
  }
  if (count > capacity) count = capacity;
  for (int device = 0; device < count; ++device) describe(device, rows[device]);
  return count;
}

void describe_session(const Session& session, DeviceRow& row) {
  describe(session.options.device, row);
  read_memory(session.options.device, row);
  if (session.sms > 0) row.sms = session.sms;
}

Session* open_session(const SessionOptions& options) {
  DeviceRow row{};
  describe(options.device, row);
  const cudaError_t status = cudaSetDevice(options.device);
  if (status != cudaSuccess) {
    cudaGetLastError();
    raise(kGpu, "GPU %d (%s) cannot be used: %s; is another process using it exclusively?",
          options.device, row.name, cudaGetErrorString(status));
  }
  const int code_version = check_architecture(options.device, row);
  auto* session = new Session;
  session->code_version = code_version;
  session->options = options;
  session->sms = row.sms;
  session->compute_capability = row.compute_capability;
  try {
    if (options.sms > 0) session->sms = open_green_context(*session);
  } catch (...) {
    delete session;
    throw;
  }
  return session;
}

void close_session(Session* session) {
  if (session->green != nullptr) close_green_context(*session);
  const std::lock_guard lock(allocations().mutex);
  std::erase_if(allocations().list,
                [&](const auto& entry) { return entry.second.session == session; });
  delete session;
}

void* allocate(Session& session, int64_t bytes) {
  check_budget(session, bytes);
  CHECK_CUDA(cudaSetDevice(session.options.device));
  void* data = nullptr;
  const cudaError_t status = cudaMalloc(&data, static_cast<size_t>(bytes));
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    size_t free = 0, total = 0;
    cudaMemGetInfo(&free, &total);
    raise(kNoPlan,
          "cannot allocate %.1f MiB on the GPU: %.1f of its %.1f MiB are free (other processes' "
          "memory counts); use fewer bits, a smaller batch or more ranks",
          bytes / 1048576.0, free / 1048576.0, total / 1048576.0);
  }
  check_cuda(status, "cudaMalloc");
  {
    const std::lock_guard lock(allocations().mutex);
    allocations().list[data] = {&session, bytes};
    session.allocated_bytes += bytes;
  }
  CHECK_CUDA(cudaMemset(data, 0, static_cast<size_t>(bytes)));
  // The default stream is not what operations run on: what it set must be there for them.
  CHECK_CUDA(cudaStreamSynchronize(nullptr));
  return data;
}

void release(void* data) {
  if (data == nullptr) return;
  {
    const std::lock_guard lock(allocations().mutex);
    const auto found = allocations().list.find(data);
    if (found != allocations().list.end()) {
      found->second.session->allocated_bytes -= found->second.bytes;
      allocations().list.erase(found);
    }
  }
  cudaFree(data);
}

void* allocate_pinned(Session& session, int64_t bytes) {
  CHECK_CUDA(cudaSetDevice(session.options.device));
  void* data = nullptr;
  const cudaError_t status = cudaHostAlloc(&data, static_cast<size_t>(bytes), cudaHostAllocDefault);
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    raise(kNoPlan, "cannot pin %.1f MiB of host memory for transfers", bytes / 1048576.0);
  }
  check_cuda(status, "cudaHostAlloc");
  std::memset(data, 0, static_cast<size_t>(bytes));
  return data;
}

}  // namespace llmpq::cuda
