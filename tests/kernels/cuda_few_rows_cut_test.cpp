// How products of few rows are cut on a GPU, by the arithmetic alone: no GPU is needed.
#include <gtest/gtest.h>

#include <set>
#include <vector>

#include "kernels/cuda/matmul_few_rows_cut.hpp"
#include "kernels/cuda/scratch.hpp"
#include "kernels/product_kernels.hpp"

namespace llmpq::test {
namespace {

using cuda::FewRowsBlocks;
using cuda::FewRowsCut;
using cuda::FewRowsDevice;

/// What CUDA tells of these chips.
constexpr FewRowsDevice kTuring{40, 65536, 65536, 4 << 20};
constexpr FewRowsDevice kAmpere{108, 166912, 167936, 40 << 20};
constexpr FewRowsDevice kHopper{132, 232448, 233472, 60 << 20};
constexpr int64_t kCounters = 65536;

struct Shape {
  int64_t n, k;
};
/// The smallest, odd ones, those of real models, and one whose sets have no counter each.
constexpr Shape kShapes[] = {{1, 1},       {17, 127},      {256, 128},    {257, 300},
                             {6144, 4096}, {28672, 4096},  {4096, 14336}, {1024, 5120},
                             {48, 9001},   {151936, 5120}, {1 << 21, 256}};

template <Format kFormat, int kTokenTiles, FewRowsBlocks kBlocks = FewRowsBlocks::kUsual>
struct Problem {
  static constexpr Format kFormatOf = kFormat;
  using Chosen = cuda::FewRowsShape<kFormat, kTokenTiles, kBlocks>;
  FewRowsCut cut{};
  int warps, set_tiles, rings, budget;
  int64_t partial_bytes;

  Problem(const Shape& shape, const FewRowsDevice& device)
      : warps(cuda::few_rows_warps<kFormat, Chosen>(device)),
        set_tiles(warps * Chosen::kTiles),
        rings(warps * cuda::ring_bytes<kFormat, Chosen>()),
        budget(cuda::few_rows_budget<Chosen>(device, rings)),
        partial_bytes(cuda::linear_piece_bytes(shape.k, shape.n * shape.k, false)) {
    cut.groups = static_cast<int>(groups_of(shape.k));
    cut.tiles = static_cast<int>(cuda::tiles_of(shape.n));
    cuda::deal_out(cut, device, {partial_bytes, kCounters}, set_tiles, Chosen::kRangesPerSm);
    cut.chunk = cuda::few_rows_chunk<Chosen>(cut, budget - rings);
    cut.ahead = cuda::few_rows_ahead(cut, device, set_tiles * cuda::tile_bytes(kFormat));
  }
  int64_t units() const { return int64_t{cut.sets} * cut.groups; }
};

template <typename Visit>
void for_each_problem(const Visit& visit) {
  for (const FewRowsDevice& device : {kTuring, kAmpere, kHopper})
    for (const Shape& shape : kShapes) {
      SCOPED_TRACE(testing::Message()
                   << shape.n << " x " << shape.k << ", " << device.sms << " SMs");
      visit(Problem<Format::kW8, 1>(shape, device), device);
      visit(Problem<Format::kW8, 4>(shape, device), device);
      visit(Problem<Format::kW4, 1>(shape, device), device);
      visit(Problem<Format::kW4, 2>(shape, device), device);
      visit(Problem<Format::kW3, 1>(shape, device), device);
      visit(Problem<Format::kW3, 4>(shape, device), device);
      visit(Problem<Format::kW8, 1, FewRowsBlocks::kWide>(shape, device), device);
      visit(Problem<Format::kW4, 2, FewRowsBlocks::kWide>(shape, device), device);
      visit(Problem<Format::kW3, 4, FewRowsBlocks::kWide>(shape, device), device);
    }
}

TEST(CudaFewRowsCut, RangesAreAllUnitsOnceAndOfEqualLength) {
  for_each_problem([](const auto& p, const FewRowsDevice&) {
    ASSERT_EQ(p.cut.range_begin(0), 0);
    ASSERT_EQ(p.cut.range_begin(p.cut.ranges), p.units());
    ASSERT_GE(int64_t{p.cut.sets} * p.set_tiles, p.cut.tiles);
    for (int range = 0; range < p.cut.ranges; ++range) {
      const int begin = p.cut.range_begin(range), end = p.cut.range_begin(range + 1);
      ASSERT_GE(end - begin, p.cut.longest() - 1);
      ASSERT_LE(end - begin, p.cut.longest());
      ASSERT_EQ(p.cut.range_of(begin), range);
      ASSERT_EQ(p.cut.range_of(end - 1), range);
    }
  });
}

template <typename A, typename B>
void expect_same_cut(const A& few, const B& more) {
  EXPECT_EQ(few.cut.ranges, more.cut.ranges);
  EXPECT_EQ(few.set_tiles, more.set_tiles);
  EXPECT_EQ(few.cut.longer, more.cut.longer);
}

TEST(CudaFewRowsCut, TheCutDoesNotDependOnTheNumberOfTokens) {
  for (const FewRowsDevice& device : {kTuring, kAmpere, kHopper})
    for (const Shape& shape : kShapes) {
      expect_same_cut(Problem<Format::kW4, 1>(shape, device),
                      Problem<Format::kW4, 4>(shape, device));
      expect_same_cut(Problem<Format::kW8, 1, FewRowsBlocks::kWide>(shape, device),
                      Problem<Format::kW8, 2, FewRowsBlocks::kWide>(shape, device));
    }
}

/// Pieces that share a set leave their sums at places of their own, within the scratch memory.
TEST(CudaFewRowsCut, PiecesOfSharedSetsHavePlacesOfTheirOwn) {
  int shared = 0;
  for_each_problem([&](const auto& p, const FewRowsDevice&) {
    std::set<int> slots;
    for (int range = 0; range < p.cut.ranges; ++range)
      for (int begin = p.cut.range_begin(range), end; begin < p.cut.range_begin(range + 1);
           begin = end) {
        end = std::min((begin / p.cut.groups + 1) * p.cut.groups, p.cut.range_begin(range + 1));
        if (end - begin == p.cut.groups) continue;
        ++shared;
        const int slot = p.cut.piece_slot(range, begin);
        ASSERT_TRUE(slots.insert(slot).second) << "range " << range << ", unit " << begin;
        ASSERT_LT(slot, cuda::kRangePieces * p.cut.ranges);
      }
    if (slots.empty()) return;
    const int64_t slot_bytes = p.set_tiles * cuda::kMostTokenTiles * cuda::kSumBytes;
    ASSERT_LE(cuda::kRangePieces * p.cut.ranges * slot_bytes, p.partial_bytes);
    ASSERT_LE(p.cut.sets * cuda::kMostTokenParts * cuda::kMostFewRowsWarps, kCounters);
  });
  EXPECT_GT(shared, 100);
}

TEST(CudaFewRowsCut, ABlockFitsInItsSharedMemory) {
  for_each_problem([](const auto& p, const FewRowsDevice& device) {
    using P = std::decay_t<decltype(p)>;
    const int x = cuda::x_group_bytes(P::Chosen::kTokenTiles);
    ASSERT_GE(p.cut.chunk, 1);
    ASSERT_LE(p.cut.chunk, p.cut.groups);
    ASSERT_LE(p.rings + p.cut.chunk * x, device.block_shared_bytes);
  });
  EXPECT_EQ(cuda::kMostTokenTiles * 8, kMostFewRows);
}

/// Wide blocks are there to halve what is read of x.
TEST(CudaFewRowsCut, WideBlocksShareAnXAmongTwiceTheOutputs) {
  const Shape up{28672, 4096};
  const Problem<Format::kW4, 4> usual(up, kHopper);
  const Problem<Format::kW4, 4, FewRowsBlocks::kWide> wide(up, kHopper);
  EXPECT_EQ(wide.set_tiles, 2 * usual.set_tiles);
  EXPECT_EQ(2 * wide.units(), usual.units()) << "each unit reads a group of x";
  EXPECT_EQ(2 * wide.cut.ranges, usual.cut.ranges);
}

/// What is asked for ahead: whole runs of a range's own units, in order, and not more than a
/// quarter of L2 by all blocks together.
TEST(CudaFewRowsCut, WeightsAreAskedForAheadOnceAndNoMoreThanL2Holds) {
  int asked = 0, cut_short = 0;
  for_each_problem([&](const auto& p, const FewRowsDevice& device) {
    const int64_t tile_bytes = cuda::tile_bytes(std::decay_t<decltype(p)>::kFormatOf);
    ASSERT_LE(p.cut.ahead, p.cut.longest());
    ASSERT_LE(4 * int64_t{p.cut.ahead} * p.cut.ranges * p.set_tiles * tile_bytes, device.l2_bytes);
    asked += p.cut.ahead > 0;
    cut_short += p.cut.ahead < p.cut.longest();
    for (const int range : {0, p.cut.ranges / 2, p.cut.ranges - 1}) {
      const int begin = p.cut.range_begin(range);
      const int end = std::min(begin + p.cut.ahead, p.cut.range_begin(range + 1));
      for (int unit = begin; unit < end;) {
        const cuda::FewRowsRun run = cuda::run_of(p.cut, p.set_tiles, 2, unit, end);
        ASSERT_EQ(run.tile, unit / p.cut.groups * p.set_tiles + 2);
        ASSERT_EQ(run.group, unit % p.cut.groups);
        ASSERT_GT(run.count, 0);
        ASSERT_LE(run.group + run.count, p.cut.groups);
        unit += run.count;
        ASSERT_LE(unit, end);
      }
    }
  });
  EXPECT_GT(asked, 100);
  EXPECT_GT(cut_short, 10);
}

/// Weights are asked for in multiples of 16 bytes from multiples of 16 bytes on.
TEST(CudaFewRowsCut, TilesAreMultiplesOfWhatIsAskedFor) {
  for (const Format format : {Format::kW8, Format::kW4, Format::kW3})
    EXPECT_EQ(cuda::tile_bytes(format) % 16, 0);
}

}  // namespace
}  // namespace llmpq::test
