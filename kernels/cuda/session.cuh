// Devices, memory and streams of the module; module.cu puts them into its table.
#pragma once

#include "kernels/cuda/context.cuh"

namespace llmpq::cuda {

/// The architectures of this build, as CMake set them: "75 80 90".
inline constexpr char kArchitectures[] = LLMPQ_CUDA_ARCHITECTURES;

int find_devices(DeviceRow* rows, int capacity, Failure& why_none);
/// The session's device with the memory that is free now.
void describe_session(const Session& session, DeviceRow& row);
Session* open_session(const SessionOptions& options);
void close_session(Session* session);
/// Zeroed device memory.
void* allocate(Session& session, int64_t bytes);
void release(void* data);
/// Zeroed host memory that the device reaches.
void* allocate_pinned(Session& session, int64_t bytes);

/// Restricts the session to options.sms SMs or the next larger part that the hardware can split
/// off; returns how many that is. Streams of the session must then be made by make_green_stream().
int open_green_context(Session& session);
void close_green_context(Session& session);
cudaStream_t make_green_stream(Session& session);

StreamContext* open_context(Session& session);
void close_context(StreamContext* context);
void reserve_scratch(StreamContext& context, int64_t bytes);
bool launch_recorded(StreamContext& context, uint64_t key, bool& record);
void begin_recording(StreamContext& context);
void end_recording(StreamContext& context, uint64_t key);
void drop_recording(StreamContext& context);

}  // namespace llmpq::cuda
