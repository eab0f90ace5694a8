// What the parts of the emulated runtime share: one lock, errors, the device, and how work is
// queued.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "cuda_runtime_api.h"
#include "grid.hpp"

namespace llmpq::emulated {

/// Held by every call of the runtime: one grid runs at a time, whatever thread has launched it.
std::recursive_mutex& runtime_lock();

/// Remembers an error for cudaGetLastError() and returns it.
cudaError_t result(cudaError_t error);

/// A made-up device: a number like 90, and what a GPU of that compute capability has.
struct Device {
  int machine_index;  ///< among the machine's GPUs: LLMPQ_EMULATED_GPU lists them
  int compute_capability;
  int sms;
  int sm_shared_bytes, block_shared_bytes;
  size_t total_bytes;
  size_t taken_bytes;  ///< by other processes, and by the driver before the first allocation
};
/// Those that this process sees (CUDA_VISIBLE_DEVICES), and the one that the calling thread uses.
const std::vector<Device>& devices();
const Device& device();
/// Of the module's code, the version that the device runs; 0 if it has none for it.
int code_version();

/// Queues work on a stream, which may be nullptr: it runs at once, or when somebody waits for it
/// (LLMPQ_EMULATED_STREAMS=late), or becomes part of the graph that the stream records.
cudaError_t enqueue(cudaStream_t stream, std::function<void()> work);
cudaError_t enqueue(cudaStream_t stream, std::shared_ptr<const Launch> kernel);
/// Whether the calling thread records: then it may not allocate, nor wait.
bool is_capturing();
void run_all_streams();

}  // namespace llmpq::emulated
