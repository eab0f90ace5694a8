#include "base/link_mpi.hpp"

#include <deque>
#include <limits>
#include <utility>

#include "base/mpi_check.hpp"

namespace llmpq {
namespace {

/// A message under way: MPI reads or writes `bytes` until `request` is complete.
struct Transfer {
  std::vector<std::byte> bytes;
  MPI_Request request = MPI_REQUEST_NULL;
};

bool is_complete(Transfer& transfer) {
  int done = 0;
  CHECK_MPI(MPI_Test(&transfer.request, &done, MPI_STATUS_IGNORE));
  return done != 0;
}

/// Ends without waiting: MPI may still touch the buffers of what is under way, so they live on.
void abandon(std::deque<Transfer>& transfers) {
  static auto* const graveyard = new std::vector<std::vector<std::byte>>();
  for (Transfer& transfer : transfers) {
    int done = 0;
    MPI_Test(&transfer.request, &done, MPI_STATUS_IGNORE);
    if (done != 0) continue;
    MPI_Request_free(&transfer.request);
    graveyard->push_back(std::move(transfer.bytes));
  }
}

class MpiLinkOut : public LinkOut {
 public:
  MpiLinkOut(MPI_Comm comm, int peer, int tag) : comm_(comm), peer_(peer), tag_(tag) {}
  ~MpiLinkOut() override { abandon(sends_); }

  void start(std::vector<std::byte> message) override {
    CHECK(message.size() <= static_cast<size_t>(std::numeric_limits<int>::max()), Exit::kMpi,
          "a message of {} bytes to rank {}: at most 2 GiB are possible", message.size(), peer_);
    Transfer& send = sends_.emplace_back();
    send.bytes = std::move(message);
    CHECK_MPI(MPI_Isend(send.bytes.data(), static_cast<int>(send.bytes.size()), MPI_BYTE, peer_,
                        tag_, comm_, &send.request));
  }

  int finish() override {
    // Sends complete in order as a rule, so looking at the oldest is enough.
    while (!sends_.empty() && is_complete(sends_.front())) sends_.pop_front();
    return static_cast<int>(sends_.size());
  }

 private:
  MPI_Comm comm_;
  int peer_;
  int tag_;
  std::deque<Transfer> sends_;
};

class MpiLinkIn : public LinkIn {
 public:
  MpiLinkIn(MPI_Comm comm, int peer, int tag, int64_t max_bytes)
      : comm_(comm), peer_(peer), tag_(tag), max_bytes_(max_bytes) {}
  ~MpiLinkIn() override { abandon(receives_); }

  void post() override {
    while (receives_.size() < kMostUnderWay && receive_announced()) {
    }
  }

  std::optional<std::vector<std::byte>> take() override {
    post();
    if (receives_.empty() || !is_complete(receives_.front())) return std::nullopt;
    std::vector<std::byte> bytes = std::move(receives_.front().bytes);
    receives_.pop_front();
    return bytes;
  }

  int under_way() const override { return static_cast<int>(receives_.size()); }

 private:
  /// More stay with their sender until some are taken: this bounds the receiver's memory.
  static constexpr size_t kMostUnderWay = 8;

  /// Starts to receive the next message if its size is known here; its buffer has that size.
  bool receive_announced() {
    int announced = 0;
    MPI_Message message = MPI_MESSAGE_NULL;
    MPI_Status status;
    CHECK_MPI(MPI_Improbe(peer_, tag_, comm_, &announced, &message, &status));
    if (announced == 0) return false;
    int bytes = 0;
    CHECK_MPI(MPI_Get_count(&status, MPI_BYTE, &bytes));
    CHECK(bytes >= 0 && bytes <= max_bytes_, Exit::kMpi,
          "a message of {} bytes from rank {} with tag {}: at most {} were agreed", bytes, peer_,
          tag_, max_bytes_);
    Transfer& receive = receives_.emplace_back();
    receive.bytes.resize(static_cast<size_t>(bytes));
    CHECK_MPI(MPI_Imrecv(receive.bytes.data(), bytes, MPI_BYTE, &message, &receive.request));
    return true;
  }

  MPI_Comm comm_;
  int peer_;
  int tag_;
  int64_t max_bytes_;
  std::deque<Transfer> receives_;
};

}  // namespace

std::unique_ptr<LinkOut> make_mpi_link_out(const Mpi& mpi, int peer, int tag) {
  return std::make_unique<MpiLinkOut>(mpi.handle().world, peer, tag);
}

std::unique_ptr<LinkIn> make_mpi_link_in(const Mpi& mpi, int peer, int tag,
                                         int64_t max_message_bytes) {
  const int source = peer == kAnyRank ? MPI_ANY_SOURCE : peer;
  return std::make_unique<MpiLinkIn>(mpi.handle().world, source, tag, max_message_bytes);
}

}  // namespace llmpq
