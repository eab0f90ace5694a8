// Products on AMX against the plain ones, bit for bit, where the CPU has it; where it has all but
// the tiles, with those trapped. For x86-64 only.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "kernels/cpu/peak_loops.hpp"

#include "tiles_case.hpp"
#include "trapped_tiles.hpp"

namespace llmpq::test {
namespace {

struct Unit {
  const char* name;
  Isa needs;
  bool trapped;
};
constexpr Unit kUnits[] = {{"trapped_amx", Isa::kVnni, true}, {"amx", Isa::kAmx, false}};

/// Whether a sentence of left_out() is, also, about tiles.
bool tells_of_tiles(const std::string& sentence) {
  return sentence.find("tiles") != std::string::npos;
}

class AmxTest {
 protected:
  /// Why there is nothing to test; else empty.
  std::string begin(const Unit& unit) {
    if (!has_isa(std::string(name(unit.needs))))
      return fmt::format("this CPU has no {}", name(unit.needs));
    if (!unit.trapped) return {};
    if (has_isa("amx")) return "nothing traps: this CPU has amx";
    trap_ = std::make_unique<TrappedTiles>();
    products_before_ = trapped_products();
    return {};
  }
  void end() const {
    if (trap_ != nullptr) {
      EXPECT_GT(trapped_products(), products_before_);
    }
  }

 private:
  std::unique_ptr<TrappedTiles> trap_;
  int64_t products_before_ = 0;
};

class AmxProduct : public AmxTest, public testing::TestWithParam<std::tuple<Unit, Format>> {
 protected:
  void SetUp() override {
    if (const std::string why = begin(std::get<0>(GetParam())); !why.empty()) GTEST_SKIP() << why;
  }
  void TearDown() override { end(); }
  static Format format() { return std::get<1>(GetParam()); }
};

/// A CPU whose tiles multiply bf16 numbers in another way goes without them, and without this.
class AmxBf16Product : public AmxTest, public testing::TestWithParam<Unit> {
 protected:
  void SetUp() override {
    std::string why = begin(GetParam());
    if (why.empty() && tells_of_tiles(left_out(GetParam().needs))) why = left_out(Isa::kAmx);
    if (!why.empty()) GTEST_SKIP() << why;
  }
  void TearDown() override { end(); }
};

/// The kernels that a process gets use bf16 tiles, or say why they do not.
TEST(AmxKernels, UseBf16TilesOrSayWhyNot) {
  if (!has_isa("amx")) GTEST_SKIP() << "this CPU has no amx";
  EXPECT_EQ(kernels(Isa::kAmx).matmul_bf16_tiles == nullptr, tells_of_tiles(left_out(Isa::kAmx)));
}

TEST_P(AmxProduct, GivesThePlainBits) { expect_plain_bits(kernels_amx(), format()); }

TEST_P(AmxProduct, IsExactAtTheEndsOfTheRange) { expect_exact_ends(kernels_amx(), format()); }

TEST_P(AmxBf16Product, GivesThePlainBits) { expect_plain_bits(kernels_amx_bf16(), Format::kBf16); }

TEST_P(AmxBf16Product, IsCountedByItsPeakLoop) {
  const PeakLoops& loops = peak_loops_amx_bf16();
  EXPECT_EQ(loops.dot_bf16(3), static_cast<float>(3 * loops.bf16_products_of_round));
}

TEST_P(AmxBf16Product, HasTheDocumentedOrder) { EXPECT_EQ(bf16_difference_of_amx(), nullptr); }

INSTANTIATE_TEST_SUITE_P(All, AmxBf16Product, testing::ValuesIn(kUnits),
                         [](const auto& info) { return std::string(info.param.name); });

INSTANTIATE_TEST_SUITE_P(All, AmxProduct,
                         testing::Combine(testing::ValuesIn(kUnits),
                                          testing::Values(Format::kW8, Format::kW4, Format::kW3)),
                         [](const auto& info) {
                           return std::string(std::get<0>(info.param).name) + "_" +
                                  std::string(name(std::get<1>(info.param)));
                         });

}  // namespace
}  // namespace llmpq::test
