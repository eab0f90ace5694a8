// NCCL as link_nccl.cu uses it: floats from one process to another, over a socket of this machine,
// or within the process if both ends are there. LLMPQ_EMULATED_NCCL=absent: there is no library;
// hangs: the ends never meet.
#include <nccl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <mutex>
#include <vector>

#include "runtime.hpp"
#include "warp.hpp"

#undef dlopen
#undef dlsym

struct ncclComm {
  int ranks = 0, rank = 0;
  int listening = -1, connected = -1;  ///< sockets; rank 0 listens
  ncclUniqueId id{};
  ncclResult_t state = ncclInProgress;
  std::deque<std::vector<float>> within;  ///< what has been sent, if there is one rank
};

namespace llmpq::emulated {
namespace {

bool is_wished(const char* value) {
  const char* wish = std::getenv("LLMPQ_EMULATED_NCCL");
  if (wish != nullptr && std::strcmp(wish, "absent") != 0 && std::strcmp(wish, "hangs") != 0)
    fail("LLMPQ_EMULATED_NCCL=%s: want absent or hangs", wish);
  return wish != nullptr && std::strcmp(wish, value) == 0;
}

/// A name in the abstract namespace of sockets, which needs no file; zeros fill it up.
sockaddr_un address_of(const ncclUniqueId& id) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path + 1, id.internal, sizeof(address.sun_path) - 1);
  return address;
}

/// A step towards the other end.
void meet(ncclComm& c) {
  const sockaddr_un address = address_of(c.id);
  const auto* const to = reinterpret_cast<const sockaddr*>(&address);
  if (c.rank == 0) {
    c.connected = accept(c.listening, nullptr, nullptr);
  } else {
    c.connected = socket(AF_UNIX, SOCK_STREAM, 0);
    if (connect(c.connected, to, sizeof(address)) == 0) return;
    close(c.connected);
    c.connected = -1;
  }
}

/// All bytes, or the state says that the other end is gone.
template <typename Transfer>
void transfer_all(ncclComm& c, short wanted, size_t bytes, Transfer transfer) {
  for (size_t done = 0; done < bytes && c.state == ncclSuccess;) {
    pollfd ready{c.connected, wanted, 0};
    poll(&ready, 1, -1);
    const ssize_t count = transfer(done, bytes - done);
    if (count <= 0)
      c.state = ncclRemoteError;
    else
      done += static_cast<size_t>(count);
  }
}

ncclResult_t queued(cudaStream_t stream, std::function<void()> work) {
  const std::lock_guard lock(runtime_lock());
  return enqueue(stream, std::move(work)) == cudaSuccess ? ncclSuccess : ncclSystemError;
}

}  // namespace

void* open_nccl(const char* file) {
  static int library = 0;
  return is_wished("absent") || std::strcmp(file, "libnccl.so.2") != 0 ? nullptr : &library;
}

void* nccl_function(void* library, const char* name) {
  if (library == nullptr) return nullptr;
  const struct {
    const char* name;
    void* function;
  } all[] = {
      {"ncclGetUniqueId", reinterpret_cast<void*>(&ncclGetUniqueId)},
      {"ncclCommInitRankConfig", reinterpret_cast<void*>(&ncclCommInitRankConfig)},
      {"ncclCommGetAsyncError", reinterpret_cast<void*>(&ncclCommGetAsyncError)},
      {"ncclCommAbort", reinterpret_cast<void*>(&ncclCommAbort)},
      {"ncclSend", reinterpret_cast<void*>(&ncclSend)},
      {"ncclRecv", reinterpret_cast<void*>(&ncclRecv)},
      {"ncclGroupStart", reinterpret_cast<void*>(&ncclGroupStart)},
      {"ncclGroupEnd", reinterpret_cast<void*>(&ncclGroupEnd)},
      {"ncclGetErrorString", reinterpret_cast<void*>(&ncclGetErrorString)},
  };
  for (const auto& entry : all)
    if (std::strcmp(entry.name, name) == 0) return entry.function;
  return nullptr;
}

}  // namespace llmpq::emulated

using namespace llmpq::emulated;

ncclResult_t ncclGetUniqueId(ncclUniqueId* id) {
  static int made = 0;
  std::memset(id->internal, 0, sizeof(id->internal));
  std::snprintf(id->internal, sizeof(id->internal), "llmpq-emulated-nccl-%d-%d", getpid(), made++);
  return ncclSuccess;
}

ncclResult_t ncclCommInitRankConfig(ncclComm_t* made, int ranks, ncclUniqueId id, int rank,
                                    ncclConfig_t* config) {
  if (ranks < 1 || ranks > 2 || rank < 0 || rank >= ranks || config->blocking != 0)
    return ncclInvalidArgument;
  auto* const c = new ncclComm;
  c->ranks = ranks;
  c->rank = rank;
  c->id = id;
  *made = c;
  if (ranks == 1 || rank == 1) return ncclInProgress;
  c->listening = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
  const sockaddr_un address = address_of(id);
  if (bind(c->listening, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
      listen(c->listening, 1) != 0)
    return ncclSystemError;
  return ncclInProgress;
}

ncclResult_t ncclCommGetAsyncError(ncclComm_t communicator, ncclResult_t* state) {
  const std::lock_guard lock(runtime_lock());
  ncclComm& c = *communicator;
  if (c.state == ncclInProgress && !is_wished("hangs")) {
    if (c.ranks == 2) meet(c);
    if (c.ranks == 1 || c.connected >= 0) c.state = ncclSuccess;
  }
  *state = c.state;
  return ncclSuccess;
}

ncclResult_t ncclCommAbort(ncclComm_t communicator) {
  run_all_streams();
  for (const int end : {communicator->listening, communicator->connected})
    if (end >= 0) close(end);
  delete communicator;
  return ncclSuccess;
}

/// Runs also where streams are late: no one here waits for it, and another process does.
ncclResult_t ncclSend(const void* from, size_t count, ncclDataType_t, int peer, ncclComm_t c,
                      cudaStream_t stream) {
  if (peer != c->ranks - 1 || c->rank != 0) return ncclInvalidArgument;
  const ncclResult_t status = queued(stream, [=] {
    const auto* const floats = static_cast<const float*>(from);
    if (c->ranks == 1) return c->within.emplace_back(floats, floats + count), void();
    transfer_all(*c, POLLOUT, count * sizeof(float), [&](size_t done, size_t rest) {
      return send(c->connected, static_cast<const char*>(from) + done, rest, MSG_NOSIGNAL);
    });
  });
  if (status != ncclSuccess) return status;
  return cudaStreamSynchronize(stream) == cudaSuccess ? ncclSuccess : ncclSystemError;
}

ncclResult_t ncclRecv(void* to, size_t count, ncclDataType_t, int peer, ncclComm_t c,
                      cudaStream_t stream) {
  if (peer != 0 || c->rank != c->ranks - 1) return ncclInvalidArgument;
  return queued(stream, [=] {
    if (c->ranks == 1) {
      if (c->within.empty() || c->within.front().size() != count)
        fail("NCCL: %zu floats are received that nobody has sent", count);
      std::memcpy(to, c->within.front().data(), count * sizeof(float));
      return c->within.pop_front();
    }
    transfer_all(*c, POLLIN, count * sizeof(float), [&](size_t done, size_t rest) {
      return recv(c->connected, static_cast<char*>(to) + done, rest, 0);
    });
  });
}

ncclResult_t ncclGroupStart() { return ncclSuccess; }
ncclResult_t ncclGroupEnd() { return ncclSuccess; }

const char* ncclGetErrorString(ncclResult_t result) {
  switch (result) {
    case ncclSuccess:
      return "no error";
    case ncclSystemError:
      return "unhandled system error";
    case ncclInvalidArgument:
      return "invalid argument";
    case ncclRemoteError:
      return "remote process exited or there was a network error";
    case ncclInProgress:
      return "NCCL operation in progress";
  }
  return "a result that does not exist";
}
