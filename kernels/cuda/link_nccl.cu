// NCCL between this rank's GPU and one other's: a communicator of two, a stream of its own, and two
// buffers in turn, so that a transfer overlaps with computing. NCCL is opened at run time, when a
// link is: a machine without it still has the module.
#include <dlfcn.h>
#include <nccl.h>

#include <chrono>
#include <cstring>
#include <thread>

#include "kernels/cuda/link.cuh"
#include "kernels/cuda/session.cuh"

namespace llmpq::cuda {
namespace {

static_assert(sizeof(ncclUniqueId) == sizeof(LinkId::bytes));

/// The functions of libnccl that a link needs.
struct Nccl {
  decltype(&ncclGetUniqueId) get_unique_id;
  decltype(&ncclCommInitRankConfig) init_rank;
  decltype(&ncclCommGetAsyncError) async_error;
  decltype(&ncclCommAbort) abort;
  decltype(&ncclSend) send;
  decltype(&ncclRecv) receive;
  decltype(&ncclGroupStart) group_start;
  decltype(&ncclGroupEnd) group_end;
  decltype(&ncclGetErrorString) error_string;
  const char* why_none = nullptr;
};

template <typename Function>
void look_up(void* library, const char* name, Function& function, Nccl& nccl) {
  function = reinterpret_cast<Function>(dlsym(library, name));
  if (function == nullptr) nccl.why_none = "libnccl.so.2 is too old";
}

Nccl load_nccl() {
  Nccl nccl{};
  void* library = dlopen("libnccl.so.2", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    nccl.why_none = "libnccl.so.2 is not in the library path";
    return nccl;
  }
  look_up(library, "ncclGetUniqueId", nccl.get_unique_id, nccl);
  look_up(library, "ncclCommInitRankConfig", nccl.init_rank, nccl);
  look_up(library, "ncclCommGetAsyncError", nccl.async_error, nccl);
  look_up(library, "ncclCommAbort", nccl.abort, nccl);
  look_up(library, "ncclSend", nccl.send, nccl);
  look_up(library, "ncclRecv", nccl.receive, nccl);
  look_up(library, "ncclGroupStart", nccl.group_start, nccl);
  look_up(library, "ncclGroupEnd", nccl.group_end, nccl);
  look_up(library, "ncclGetErrorString", nccl.error_string, nccl);
  return nccl;
}

const Nccl& nccl() {
  static const Nccl loaded = load_nccl();
  if (loaded.why_none != nullptr) raise(kMpi, "NCCL: %s; use --link mpi", loaded.why_none);
  return loaded;
}

void check_nccl(ncclResult_t status, const char* what) {
  if (status != ncclSuccess && status != ncclInProgress)
    raise(kMpi, "%s: %s; NCCL_DEBUG=INFO tells more, --link mpi does without NCCL", what,
          nccl().error_string(status));
}

using Clock = std::chrono::steady_clock;

/// Waits until `done()`, or raises what did not come in time.
template <typename Done>
void wait_until(Clock::time_point deadline, const char* what, Done done) {
  while (!done()) {
    if (Clock::now() > deadline)
      raise(kMpi,
            "NCCL: %s did not end in time; is a firewall or a wrong NCCL_SOCKET_IFNAME between the "
            "hosts? --link mpi does without NCCL",
            what);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

/// The communicator does not block, so that a peer that never comes is noticed; after each call it
/// must have come to rest before the stream is used.
void settle(Link& link, Clock::time_point deadline, const char* what) {
  ncclResult_t state = ncclInProgress;
  wait_until(deadline, what, [&] {
    check_nccl(nccl().async_error(link.communicator, &state), "ncclCommGetAsyncError");
    check_nccl(state, what);
    return state == ncclSuccess;
  });
}

/// A call that hands over work takes milliseconds; a peer that is gone shows as its error.
Clock::time_point soon() { return Clock::now() + std::chrono::seconds(60); }

void connect(Link& link, const LinkOptions& options, Clock::time_point deadline) {
  ncclUniqueId unique;
  std::memcpy(&unique, options.id.bytes, sizeof(unique));
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  config.blocking = 0;
  const int ranks = link.role == LinkRole::kAlone ? 1 : 2;
  const int rank = link.role == LinkRole::kReceiver ? 1 : 0;
  check_nccl(nccl().init_rank(&link.communicator, ranks, unique, rank, &config),
             "ncclCommInitRankConfig");
  settle(link, deadline, "meeting the neighbour's GPU");
}

void make_slots(Link& link) {
  CHECK_CUDA(cudaStreamCreateWithFlags(&link.stream, cudaStreamNonBlocking));
  for (Link::Slot& slot : link.slots) {
    slot.data = static_cast<float*>(
        allocate(*link.session, link.slot_floats * static_cast<int64_t>(sizeof(float))));
    CHECK_CUDA(cudaEventCreateWithFlags(&slot.filled, cudaEventDisableTiming));
    CHECK_CUDA(cudaEventCreateWithFlags(&slot.free, cudaEventDisableTiming));
  }
}

void transfer(Link& link, Link::Slot& slot, int64_t count, Clock::time_point deadline) {
  const auto floats = static_cast<size_t>(count);
  if (link.role == LinkRole::kSender)
    check_nccl(nccl().send(slot.data, floats, ncclFloat, 1, link.communicator, link.stream),
               "ncclSend");
  else
    check_nccl(nccl().receive(slot.data, floats, ncclFloat, 0, link.communicator, link.stream),
               "ncclRecv");
  settle(link, deadline, "a transfer between GPUs");
}

/// The first message, with a time limit: connections are made here, and what is wrong shows here.
void exchange(Link& link, Clock::time_point deadline) {
  if (link.role == LinkRole::kAlone) return;
  transfer(link, link.slots[0], 1, deadline);
  CHECK_CUDA(cudaEventRecord(link.slots[0].free, link.stream));
  wait_until(deadline, "the first exchange with the neighbour's GPU", [&] {
    const cudaError_t status = cudaEventQuery(link.slots[0].free);
    if (status != cudaErrorNotReady) CHECK_CUDA(status);
    return status == cudaSuccess;
  });
}

void check_count(const Link& link, int64_t count) {
  if (count < 0 || count > link.slot_floats)
    raise(kInternal, "a message of %lld floats between GPUs, at most %lld were agreed",
          static_cast<long long>(count), static_cast<long long>(link.slot_floats));
}

void copy_floats(float* to, const float* from, int64_t count, cudaStream_t stream) {
  CHECK_CUDA(cudaMemcpyAsync(to, from, static_cast<size_t>(count) * sizeof(float),
                             cudaMemcpyDeviceToDevice, stream));
}

/// From slot 0 to slot 1 through NCCL: what a link does, with both ends in one process.
void transfer_to_self(Link& link, int64_t count) {
  const auto floats = static_cast<size_t>(count);
  check_nccl(nccl().group_start(), "ncclGroupStart");
  check_nccl(nccl().send(link.slots[0].data, floats, ncclFloat, 0, link.communicator, link.stream),
             "ncclSend");
  check_nccl(
      nccl().receive(link.slots[1].data, floats, ncclFloat, 0, link.communicator, link.stream),
      "ncclRecv");
  check_nccl(nccl().group_end(), "ncclGroupEnd");
  settle(link, soon(), "a transfer of a GPU to itself");
}

}  // namespace

const char* why_no_nccl() {
  static const Nccl loaded = load_nccl();
  return loaded.why_none;
}

LinkId new_link_id() {
  LinkId id{};
  ncclUniqueId unique;
  check_nccl(nccl().get_unique_id(&unique), "ncclGetUniqueId");
  std::memcpy(id.bytes, &unique, sizeof(unique));
  return id;
}

Link* open_link(Session& session, const LinkOptions& options) {
  CHECK_CUDA(cudaSetDevice(session.options.device));
  const auto deadline = Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                           std::chrono::duration<double>(options.timeout_s));
  auto* link = new Link;
  link->session = &session;
  link->role = options.role;
  link->slot_floats = options.slot_floats > 0 ? options.slot_floats : 1;
  try {
    make_slots(*link);
    connect(*link, options, deadline);
    exchange(*link, deadline);
  } catch (...) {
    close_link(link);
    throw;
  }
  return link;
}

/// Aborts rather than finishes: the last messages have been received, or nobody will.
void close_link(Link* link) {
  if (link->communicator != nullptr) nccl().abort(link->communicator);
  for (Link::Slot& slot : link->slots) {
    release(slot.data);
    if (slot.filled != nullptr) cudaEventDestroy(slot.filled);
    if (slot.free != nullptr) cudaEventDestroy(slot.free);
  }
  if (link->stream != nullptr) cudaStreamDestroy(link->stream);
  delete link;
}

void link_send(Link& link, StreamContext& context, const float* from, int64_t count) {
  check_count(link, count);
  Link::Slot& slot = link.slots[link.role == LinkRole::kAlone ? 0 : link.next];
  CHECK_CUDA(cudaStreamWaitEvent(context.stream, slot.free, 0));
  copy_floats(slot.data, from, count, context.stream);
  CHECK_CUDA(cudaEventRecord(slot.filled, context.stream));
  CHECK_CUDA(cudaStreamWaitEvent(link.stream, slot.filled, 0));
  if (link.role == LinkRole::kAlone)
    transfer_to_self(link, count);
  else
    transfer(link, slot, count, soon());
  CHECK_CUDA(cudaEventRecord(slot.free, link.stream));
  link.next = 1 - link.next;
}

void link_receive(Link& link, StreamContext& context, float* to, int64_t count) {
  check_count(link, count);
  Link::Slot& slot = link.slots[link.role == LinkRole::kAlone ? 1 : link.next];
  if (link.role != LinkRole::kAlone) {
    CHECK_CUDA(cudaStreamWaitEvent(link.stream, slot.free, 0));
    transfer(link, slot, count, soon());
  }
  CHECK_CUDA(cudaEventRecord(slot.filled, link.stream));
  CHECK_CUDA(cudaStreamWaitEvent(context.stream, slot.filled, 0));
  copy_floats(to, slot.data, count, context.stream);
  CHECK_CUDA(cudaEventRecord(slot.free, context.stream));
  link.next = 1 - link.next;
}

}  // namespace llmpq::cuda
