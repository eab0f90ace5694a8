// Links through host memory over MPI: they always work, between any two ranks and from a rank to
// itself. Used by the pipeline and by the link measurements of the profile.
#pragma once

#include <cstdint>
#include <memory>

#include "base/link.hpp"
#include "base/mpi.hpp"

namespace llmpq {

constexpr int kAnyRank = -1;  ///< as the peer of a receiving end: all ranks send to it

/// The end from which this rank sends to `peer`. One pair of ends per (peer, tag); at most 2 GiB a
/// message. `mpi` must outlive it. Calls throw Error(kMpi).
std::unique_ptr<LinkOut> make_mpi_link_out(const Mpi& mpi, int peer, int tag);

/// The end at which messages of `peer` arrive. A longer message than `max_message_bytes` is a fault
/// of the program and throws; nothing is allocated before a message has announced its size.
std::unique_ptr<LinkIn> make_mpi_link_in(const Mpi& mpi, int peer, int tag,
                                         int64_t max_message_bytes);

}  // namespace llmpq
