// What a sensitivity file may be used for.
#include "commands/quality_wish.hpp"

#include <gtest/gtest.h>

#include "base/expect_error.hpp"
#include "base/temp_folder.hpp"
#include "profile/sensitivity_file.hpp"

namespace llmpq {
namespace {

class SensitivityOf : public testing::Test {
 protected:
  /// The job's sensitivity, of a file that was calibrated with `foreseen` (or not at all).
  std::optional<Sensitivity> use(Quantizer foreseen, Quantizer job, bool calibrated = true) const {
    const auto checkpoint = open_checkpoint(std::string(LLMPQ_DATA) + "/tiny");
    Sensitivity made;
    made.omega = random_omega(checkpoint->config().layers, 1);
    made.model_hash = checkpoint->content_hash();
    made.quantizer = foreseen;
    if (calibrated) made.quality = Quality{made.omega, 0.1, {}};
    save_sensitivity(folder_ / "s.h5", made);
    Job wish;
    wish.sensitivity = folder_ / "s.h5";
    wish.quantizer = job;
    return sensitivity_of(wish, *checkpoint);
  }
  TempFolder folder_;
};

TEST_F(SensitivityOf, APromiseOfGptqIsNoneForRoundingToNearest) {
  EXPECT_ERROR(use(Quantizer::kGptq, Quantizer::kRtn), Exit::kUsage,
               "rounding to nearest loses more");
  EXPECT_TRUE(use(Quantizer::kGptq, Quantizer::kGptq));
  EXPECT_TRUE(use(Quantizer::kRtn, Quantizer::kRtn));
}

TEST_F(SensitivityOf, APromiseOfRoundingToNearestDoesForGptq) {
  EXPECT_TRUE(use(Quantizer::kRtn, Quantizer::kGptq));
}

TEST_F(SensitivityOf, OmegaWithoutAPromiseIsForBoth) {
  EXPECT_TRUE(use(Quantizer::kGptq, Quantizer::kRtn, false));
}

TEST_F(SensitivityOf, NoFileIsNoSensitivity) {
  const auto checkpoint = open_checkpoint(std::string(LLMPQ_DATA) + "/tiny");
  EXPECT_FALSE(sensitivity_of(Job{}, *checkpoint));
}

}  // namespace
}  // namespace llmpq
