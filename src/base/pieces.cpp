#include "base/pieces.hpp"

#include <algorithm>
#include <thread>
#include <utility>
#include <vector>

#include "base/link_mpi.hpp"

namespace llmpq {
namespace {

constexpr int64_t kPieceBytes = int64_t{16} << 20;
constexpr int kUnderWay = 2;  ///< one is read while another is sent

}  // namespace

void send_pieces(const Mpi& mpi, int to, int tag, int64_t bytes, const ReadPiece& read) {
  const auto link = make_mpi_link_out(mpi, to, tag);
  const auto wait_for_fewer_than = [&link](int under_way) {
    while (link->finish() >= under_way) std::this_thread::yield();  // MPI moves them meanwhile
  };
  for (int64_t begin = 0; begin < bytes; begin += kPieceBytes) {
    wait_for_fewer_than(kUnderWay);
    std::vector<std::byte> piece(static_cast<size_t>(std::min(kPieceBytes, bytes - begin)));
    read(begin, piece);
    link->start(std::move(piece));
  }
  wait_for_fewer_than(1);
}

void receive_pieces(const Mpi& mpi, int from, int tag, int64_t bytes, const WritePiece& write) {
  const auto link = make_mpi_link_in(mpi, from, tag, kPieceBytes);
  for (int64_t begin = 0; begin < bytes;) {
    const auto piece = link->take();
    if (!piece) {
      std::this_thread::yield();
      continue;
    }
    write(begin, *piece);
    begin += std::ssize(*piece);
  }
}

}  // namespace llmpq
