// A link: one direction between two ranks. Its four calls (post, start, finish, take) never block,
// so that transfer overlaps with computing. Host memory over MPI: link_mpi; GPU memory: link_gpu.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

namespace llmpq {

/// The sending end. Messages keep their order. Owned by the rank's MPI thread.
class LinkOut {
 public:
  virtual ~LinkOut() = default;
  /// Begins sending; takes the buffer.
  virtual void start(std::vector<std::byte> message) = 0;
  /// Frees what has been sent; returns the number of sends still under way.
  virtual int finish() = 0;
};

/// The receiving end. Owned by the rank's MPI thread.
class LinkIn {
 public:
  virtual ~LinkIn() = default;
  /// Makes sure that messages on their way are being received. Call it often.
  virtual void post() = 0;
  /// The next message in order, if it has arrived.
  virtual std::optional<std::vector<std::byte>> take() = 0;
  /// Messages whose bytes are on their way, or arrived and not taken.
  virtual int under_way() const = 0;
};

}  // namespace llmpq
