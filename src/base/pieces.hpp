// Many bytes from one rank to another that waits for them, a piece at a time: neither side has to
// hold them all. Used by commands/ between runs, when links are idle.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

#include "base/mpi.hpp"

namespace llmpq {

/// Fills `to` with the bytes from `begin` on.
using ReadPiece = std::function<void(int64_t begin, std::span<std::byte> to)>;
/// Gets the pieces in order; `begin` is where the piece lies.
using WritePiece = std::function<void(int64_t begin, std::span<const std::byte> piece)>;

/// Sends `bytes` bytes to rank `to`, which calls receive_pieces() with the same tag and number.
/// Holds 32 MiB of them at most. Throws Error(kMpi), and what `read` throws.
void send_pieces(const Mpi& mpi, int to, int tag, int64_t bytes, const ReadPiece& read);
void receive_pieces(const Mpi& mpi, int from, int tag, int64_t bytes, const WritePiece& write);

}  // namespace llmpq
