// A direct link from this rank's GPU to the next stage's, or from the one before (NCCL).
#pragma once

#include "kernels/cuda/context.cuh"

struct ncclComm;

namespace llmpq::cuda {

/// One direction between two GPUs: the sender is rank 0 of a communicator of two.
struct Link {
  Session* session = nullptr;
  ncclComm* communicator = nullptr;
  LinkRole role = LinkRole::kSender;
  cudaStream_t stream = nullptr;  ///< transfers; computing has its own
  /// Messages in turn: while one is on its way, the next is written or the last one read.
  struct Slot {
    float* data = nullptr;
    cudaEvent_t filled = nullptr;  ///< by computing (sender) or by the transfer (receiver)
    cudaEvent_t free = nullptr;    ///< read to its end
  } slots[2];
  int next = 0;
  int64_t slot_floats = 0;
};

/// nullptr, or why NCCL cannot be used here.
const char* why_no_nccl();
LinkId new_link_id();
/// Meets the other end and exchanges a first message with it, both within `timeout_s`. The buffers
/// take 2 * slot_floats floats of device memory.
Link* open_link(Session& session, const LinkOptions& options);
void close_link(Link* link);
/// Queues the sending of `count` floats that the context's operations have made; they may be
/// overwritten by operations queued after it.
void link_send(Link& link, StreamContext& context, const float* from, int64_t count);
/// Queues the receiving of the next message; operations queued after it find it at `to`.
void link_receive(Link& link, StreamContext& context, float* to, int64_t count);

}  // namespace llmpq::cuda
