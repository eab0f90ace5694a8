// How Hopper's products are cut, by the arithmetic alone: no GPU is needed.
#include <gtest/gtest.h>

#include <vector>

#include "kernels/cuda/matmul_wgmma_cut.hpp"

namespace llmpq::test {
namespace {

using cuda::WgmmaWork;

constexpr int kSms = 132;

TEST(CudaWgmmaCut, EveryTileRowTokenAndGroupIsInOnePiece) {
  for (const WgmmaWork& work :
       {WgmmaWork{1, 1, 1, {128, 1}}, WgmmaWork{20, 9, 700, {128, 2}},
        WgmmaWork{33, 7, 5000, {256, 1}}, WgmmaWork{40, 13, 300, {256, 3}, 1}}) {
    constexpr int kTokens = 128;  // divides the tokens of a piece
    const int tokens = cuda::count_token_tiles(work) * work.cut.tokens / kTokens;
    const int rows = cuda::count_cluster_rows(work) * work.cluster;
    std::vector<int> times(static_cast<size_t>(tokens * rows * work.groups));
    for (int i = 0; i < cuda::count_pieces(work); ++i)
      for (int rank = 0; rank < work.cluster; ++rank) {
        const cuda::WgmmaPiece piece = cuda::piece_of(work, i, rank);
        ASSERT_EQ(piece.tile_row % cuda::kPieceRows, 0);
        ASSERT_LT(piece.token, work.tokens);
        ASSERT_LT(piece.begin, piece.end);
        for (int t = 0; t < work.cut.tokens / kTokens; ++t)
          for (int group = piece.begin; group < piece.end; ++group) {
            const int row = piece.tile_row / cuda::kPieceRows, token = piece.token / kTokens + t;
            ++times.at(static_cast<size_t>((row * tokens + token) * work.groups + group));
          }
      }
    for (const int count : times) ASSERT_EQ(count, 1) << work.tile_rows << " " << work.tokens;
    EXPECT_GE(rows * cuda::kPieceRows, work.tile_rows);
  }
}

TEST(CudaWgmmaCut, SlicesAreNoMoreThanAllowedAndNoneIsEmpty) {
  int sliced = 0;
  for (const int tile_rows : {1, 64, 384, 1792})
    for (const int groups : {1, 3, 8, 32, 112})
      for (const int tokens : {65, 128, 512, 2048})
        for (const int most : {0, 1, 3, 100}) {
          const cuda::WgmmaCut cut = cuda::choose_cut({tile_rows, groups, tokens, {}}, kSms, most);
          EXPECT_TRUE(cut.tokens == 128 || cut.tokens == 256);
          EXPECT_GE(cut.slices, 1);
          EXPECT_LE(cut.slices, std::max(1, most));
          EXPECT_LE(cut.slices, groups);
          sliced += cut.slices > 1;
        }
  EXPECT_GT(sliced, 0);
}

TEST(CudaWgmmaCut, FewPiecesAreCutAlongK) {
  EXPECT_GT(cuda::choose_cut({256, 112, 128, {}}, kSms, 100).slices, 1);
  EXPECT_EQ(cuda::choose_cut({1792, 32, 2048, {}}, kSms, 100).slices, 1);
}

}  // namespace
}  // namespace llmpq::test
