// The integer product on AMX against the plain one, bit for bit, where the CPU has it; where it has
// all but the tiles, with those trapped. For x86-64 only.
#include <gtest/gtest.h>

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

class AmxProduct : public testing::TestWithParam<std::tuple<Unit, Format>> {
 protected:
  void SetUp() override {
    const Unit& unit = std::get<0>(GetParam());
    if (!has_isa(std::string(name(unit.needs))))
      GTEST_SKIP() << "this CPU has no " << name(unit.needs);
    if (!unit.trapped) return;
    if (has_isa("amx")) GTEST_SKIP() << "nothing traps: this CPU has amx";
    trap_ = std::make_unique<TrappedTiles>();
    products_before_ = trapped_products();
  }
  void TearDown() override {
    if (trap_ != nullptr) {
      EXPECT_GT(trapped_products(), products_before_);
    }
  }
  static Format format() { return std::get<1>(GetParam()); }

 private:
  std::unique_ptr<TrappedTiles> trap_;
  int64_t products_before_ = 0;
};

TEST_P(AmxProduct, GivesThePlainBits) { expect_plain_bits(kernels_amx(), format()); }

TEST_P(AmxProduct, IsExactAtTheEndsOfTheRange) { expect_exact_ends(kernels_amx(), format()); }

INSTANTIATE_TEST_SUITE_P(All, AmxProduct,
                         testing::Combine(testing::ValuesIn(kUnits),
                                          testing::Values(Format::kW8, Format::kW4, Format::kW3)),
                         [](const auto& info) {
                           return std::string(std::get<0>(info.param).name) + "_" +
                                  std::string(name(std::get<1>(info.param)));
                         });

}  // namespace
}  // namespace llmpq::test
