#include "profile/sensitivity_file.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <limits>

#include "base/expect_error.hpp"
#include "base/hdf5.hpp"
#include "base/temp_folder.hpp"

namespace llmpq {
namespace {

class SensitivityFile : public testing::Test {
 protected:
  SensitivityFile() : checkpoint_(open_checkpoint(std::string(LLMPQ_DATA) + "/tiny")) {
    sensitivity_.indicator = Indicator::kVariance;
    sensitivity_.omega = random_omega(layers(), 4);
    sensitivity_.quantizer = Quantizer::kGptq;
    sensitivity_.model_hash = checkpoint_->content_hash();
    sensitivity_.tokens = 12345;
    sensitivity_.seed = 77;
    Quality quality;
    quality.loss_increase = random_omega(layers(), 9);
    quality.relative_error = 0.125;
    for (const auto& formats : calibration_formats(layers(), Format::kBf16, 5, 2))
      quality.runs.push_back({formats, -0.5, 0.25});
    sensitivity_.quality = quality;
  }

  int64_t layers() const { return checkpoint_->config().layers; }
  void save() const { save_sensitivity(path(), sensitivity_); }
  Sensitivity load() const { return load_sensitivity(path(), *checkpoint_); }
  std::filesystem::path path() const { return folder_ / "s.h5"; }
  h5::File open() const { return h5::File::open(path(), h5::File::Mode::kWrite, Exit::kInternal); }

  std::unique_ptr<Checkpoint> checkpoint_;
  Sensitivity sensitivity_;
  TempFolder folder_;
};

TEST_F(SensitivityFile, ComesBackAsItWas) {
  save();
  const Sensitivity got = load();
  EXPECT_EQ(got.indicator, Indicator::kVariance);
  EXPECT_EQ(got.omega, sensitivity_.omega);
  EXPECT_EQ(got.quantizer, Quantizer::kGptq);
  EXPECT_EQ(got.model_hash, sensitivity_.model_hash);
  EXPECT_EQ(got.tokens, 12345);
  EXPECT_EQ(got.seed, 77u);
  ASSERT_TRUE(got.quality);
  EXPECT_EQ(got.quality->loss_increase, sensitivity_.quality->loss_increase);
  EXPECT_EQ(got.quality->relative_error, 0.125);
  ASSERT_EQ(got.quality->runs.size(), 5u);
  for (size_t i = 0; i < 5; ++i) {
    EXPECT_EQ(got.quality->runs[i].formats, sensitivity_.quality->runs[i].formats);
    EXPECT_EQ(got.quality->runs[i].loss_increase, -0.5);
    EXPECT_EQ(got.quality->runs[i].error, 0.25);
  }
}

TEST_F(SensitivityFile, MayHaveNoQualityAndReplacesWhatWasThere) {
  save();
  sensitivity_.quality.reset();
  save();
  EXPECT_FALSE(load().quality);
  EXPECT_FALSE(std::filesystem::exists(path().string() + ".part"));
}

/// The original took the columns in another order than the file had them.
TEST_F(SensitivityFile, ColumnsAreFoundByTheirNames) {
  save();
  const std::vector<std::string> names{"w3", "bf16", "w8", "f16", "w4"};
  open().dataset("formats").write_text(0, names);
  const Sensitivity got = load();
  for (size_t layer = 0; layer < got.omega.size(); ++layer)
    for (size_t i = 0; i < names.size(); ++i)
      EXPECT_EQ(got.omega[layer][static_cast<size_t>(*parse_format(names[i]))],
                sensitivity_.omega[layer][i]);
}

TEST_F(SensitivityFile, OfAnotherModelIsRefused) {
  sensitivity_.model_hash ^= 1;
  save();
  EXPECT_ERROR(load(), Exit::kModel, "made for another model");
}

TEST_F(SensitivityFile, BrokenOnesAreRefused) {
  EXPECT_ERROR(load(), Exit::kUsage, "s.h5");
  std::ofstream(path()) << "not HDF5";
  EXPECT_ERROR(load(), Exit::kUsage, "s.h5");
  h5::File::create(path(), false, Exit::kInternal).flush();
  EXPECT_ERROR(load(), Exit::kUsage, "no attribute indicator");
  save();
  open().set_attribute("indicator", std::string("guess"));
  EXPECT_ERROR(load(), Exit::kUsage, "its indicator is \"guess\"");
  save();
  open().set_attribute("quantizer", std::string("awq"));
  EXPECT_ERROR(load(), Exit::kUsage, "its quantizer is \"awq\"");
}

TEST_F(SensitivityFile, FormatsMustBeOursAndOnceEach) {
  for (const std::string name : {"w2", "w4"}) {
    save();
    const std::vector<std::string> names{name};
    open().dataset("formats").write_text(2, names);
    EXPECT_ERROR(load(), Exit::kUsage, "\"w");
  }
}

TEST_F(SensitivityFile, NumbersMustBeFiniteAndNotNegative) {
  for (const double bad : {-1.0, std::nan(""), std::numeric_limits<double>::infinity()})
    for (const std::string dataset : {"omega", "loss_increase"}) {
      save();
      h5::File file = open();
      h5::Group group = dataset == "omega" ? std::move(file) : file.group("quality");
      const std::vector<double> row(kFormats.size(), bad);
      group.dataset(dataset).write(1, std::span<const double>(row));
      group = open();  // closes the one before
      EXPECT_ERROR(load(), Exit::kUsage, dataset);
    }
}

TEST_F(SensitivityFile, ShapesMustAgree) {
  save();
  open().dataset("omega").resize(3);
  EXPECT_ERROR(load(), Exit::kUsage, "omega: its shape");
  save();
  open().group("quality").group("runs").dataset("error").resize(2);
  EXPECT_ERROR(load(), Exit::kUsage, "error: its shape");
  sensitivity_.omega.pop_back();
  save();
  EXPECT_ERROR(load(), Exit::kUsage, "omega: its shape");
}

TEST_F(SensitivityFile, RunsNameColumnsThatThereAre) {
  save();
  const std::vector<int32_t> row(static_cast<size_t>(layers()), 5);
  open().group("quality").group("runs").dataset("formats").write(0, std::span<const int32_t>(row));
  EXPECT_ERROR(load(), Exit::kUsage, "found 5, want 0 to 4");
}

}  // namespace
}  // namespace llmpq
