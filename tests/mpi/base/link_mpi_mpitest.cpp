#include "base/link_mpi.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "mpi_test_main.hpp"

namespace llmpq {
namespace {

using Bytes = std::vector<std::byte>;

/// Message `index`: sizes from nothing to beyond every eager limit, all bytes of one value.
Bytes message(int index) {
  constexpr size_t kSizes[] = {0, 1, 17, 4096, 65536, 3000000};
  return Bytes(kSizes[static_cast<size_t>(index) % 6], static_cast<std::byte>(index * 7 + 1));
}

/// Sends `count` messages over `out` and takes as many from `in`, both without ever blocking.
void exchange(LinkOut& out, LinkIn& in, int count) {
  int sent = 0, taken = 0;
  bool all_gone = false;
  while (taken < count || !all_gone) {
    if (sent < count) out.start(message(sent++));
    in.post();
    while (auto got = in.take()) {
      ASSERT_TRUE(*got == message(taken))
          << "message " << taken << " has " << got->size() << " bytes";
      ++taken;
    }
    all_gone = out.finish() == 0 && sent == count;
  }
  EXPECT_FALSE(in.take().has_value());
}

TEST(LinkMpi, RingKeepsOrderAndBytes) {
  const Mpi& mpi = test_mpi();
  const int next = (mpi.rank() + 1) % mpi.size();
  const int before = (mpi.rank() + mpi.size() - 1) % mpi.size();
  const auto out = make_mpi_link_out(mpi, next, 11);
  const auto in = make_mpi_link_in(mpi, before, 11, 3000000);
  exchange(*out, *in, 60);
}

TEST(LinkMpi, ARankMayTalkToItself) {
  const Mpi& mpi = test_mpi();
  const auto out = make_mpi_link_out(mpi, mpi.rank(), 12);
  const auto in = make_mpi_link_in(mpi, mpi.rank(), 12, 3000000);
  exchange(*out, *in, 24);
}

TEST(LinkMpi, TagsKeepLinksApart) {
  const Mpi& mpi = test_mpi();
  const int next = (mpi.rank() + 1) % mpi.size();
  const int before = (mpi.rank() + mpi.size() - 1) % mpi.size();
  const auto out_a = make_mpi_link_out(mpi, next, 1), out_b = make_mpi_link_out(mpi, next, 2);
  const auto in_a = make_mpi_link_in(mpi, before, 1, 10),
             in_b = make_mpi_link_in(mpi, before, 2, 10);
  out_a->start(Bytes(1, std::byte{1}));
  out_b->start(Bytes(2, std::byte{2}));
  std::optional<Bytes> a, b;
  while (!b) b = in_b->take();
  while (!a) a = in_a->take();
  EXPECT_EQ(*a, Bytes(1, std::byte{1}));
  EXPECT_EQ(*b, Bytes(2, std::byte{2}));
  while (out_a->finish() + out_b->finish() > 0) {
  }
}

TEST(LinkMpi, AMessageLongerThanAgreedIsRefused) {
  const Mpi& mpi = test_mpi();
  const auto out = make_mpi_link_out(mpi, mpi.rank(), 13);
  const auto in = make_mpi_link_in(mpi, mpi.rank(), 13, 99);
  out->start(Bytes(100));
  try {
    while (!in->take()) {
    }
    FAIL() << "100 bytes came through a link of 99";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Exit::kMpi);
    EXPECT_THAT(error.what(), testing::HasSubstr("a message of 100 bytes"));
  }
}

TEST(LinkMpi, AnUnknownPeerIsAnError) {
  const auto out = make_mpi_link_out(test_mpi(), test_mpi().size(), 14);
  EXPECT_THROW(out->start(Bytes(1)), Error);
}

}  // namespace
}  // namespace llmpq
