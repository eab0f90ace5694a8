// Matrices of integers, made word by word: what their numbers are, when our formats hold them, and
// what a damaged file ends in. The real layouts are proven by layer/stored_parity_test.cpp.
#include "input/stored_matrix.hpp"

#include <gtest/gtest.h>

#include <array>

#include "base/temp_folder.hpp"
#include "model_files.hpp"

namespace llmpq::test {
namespace {

/// A GPTQ matrix of 8 bits with 4 outputs and 256 inputs in groups of 128. Integer (input, output)
/// is (3 input + 5 output) % 256, scales are 1, 2, 3, ... by group and output.
class StoredMatrixTest : public testing::Test {
 protected:
  static constexpr int64_t kInputs = 256, kOutputs = 4, kGroups = 2;

  void write(const std::string& zeros_type = "I32") {
    std::string words, header = "{";
    for (int64_t row = 0; row < kInputs / 4; ++row)
      for (int64_t output = 0; output < kOutputs; ++output)
        for (int64_t i = 0; i < 4; ++i)
          words += static_cast<char>((3 * (4 * row + i) + 5 * output) % 256);
    add("qweight", "I32", "[64,4]", words, header);
    add("qzeros", zeros_type, "[2,1]", std::string(8, static_cast<char>(zero_ - 1)), header);
    std::string floats(sizeof(scales_), '\0');
    std::memcpy(floats.data(), scales_.data(), floats.size());
    add("scales", "F32", "[2,4]", floats, header);
    std::string groups(sizeof(g_idx_), '\0');
    std::memcpy(groups.data(), g_idx_.data(), groups.size());
    add("g_idx", "I32", "[256]", groups, header);
    header.back() = '}';
    write_bytes(folder_ / "model.safetensors", safetensors_bytes(header, data_));
    data_.clear();
    file_.emplace(folder_ / "model.safetensors");
    matrix_ = {at("qweight"), at("qzeros"), at("scales"), at("g_idx"), kInputs, kOutputs};
  }

  std::vector<float> scales() const {
    std::vector<float> found(kOutputs * kGroups);
    read_stored_scales(matrix_, stored_, 0, kOutputs, found);
    return found;
  }

  StoredMatrixTest() {
    for (int64_t i = 0; i < kInputs; ++i)
      g_idx_[static_cast<size_t>(i)] = static_cast<int32_t>(i / 128);
  }

  StoredWeights stored_{.bits = 8};
  int zero_ = 128;
  std::array<float, 8> scales_{1, 2, 3, 4, 5, 6, 7, 8};
  std::array<int32_t, kInputs> g_idx_;
  StoredMatrix matrix_;

 private:
  void add(const std::string& name, const std::string& type, const std::string& shape,
           const std::string& bytes, std::string& header) {
    const auto begin = std::to_string(data_.size());
    data_ += bytes;
    header += "\"" + name + "\":{\"dtype\":\"" + type + "\",\"shape\":" + shape +
              ",\"data_offsets\":[" + begin + "," + std::to_string(data_.size()) + "]},";
  }
  TensorPlace at(const std::string& name) const {
    for (const TensorEntry& tensor : file_->header().tensors)
      if (tensor.name == name) return {&*file_, &tensor};
    return {};
  }

  TempFolder folder_;
  std::string data_;
  std::optional<SafetensorsFile> file_;
};

TEST_F(StoredMatrixTest, RowsAreIntegersLessZeroPointsTimesScales) {
  write();
  check_stored_matrix(matrix_, stored_);
  std::vector<float> values(2 * kInputs);
  read_stored_rows(matrix_, stored_, 1, 2, values);
  for (int64_t row = 0; row < 2; ++row)
    for (int64_t i = 0; i < kInputs; ++i) {
      const int64_t output = row + 1, q = (3 * i + 5 * output) % 256 - 128;
      const float scale = scales_[static_cast<size_t>(i / 128 * kOutputs + output)];
      ASSERT_EQ(values[static_cast<size_t>(row * kInputs + i)], static_cast<float>(q) * scale);
    }
  EXPECT_EQ(scales(), (std::vector<float>{1, 5, 2, 6, 3, 7, 4, 8}));
}

/// Also in the middle of a word, before and behind words that are whole.
TEST_F(StoredMatrixTest, InputsOfOneWordMayHaveDifferentScales) {
  g_idx_[6] = 1;
  write();
  std::vector<float> values(2 * kInputs);
  read_stored_rows(matrix_, stored_, 1, 2, values);
  for (int64_t row = 0; row < 2; ++row)
    for (int64_t i = 0; i < kInputs; ++i) {
      const int64_t output = row + 1, q = (3 * i + 5 * output) % 256 - 128;
      const int64_t group = i == 6 ? 1 : i / 128;
      const float scale = scales_[static_cast<size_t>(group * kOutputs + output)];
      ASSERT_EQ(values[static_cast<size_t>(row * kInputs + i)], static_cast<float>(q) * scale);
    }
}

TEST_F(StoredMatrixTest, InputsThatAreOutOfOrderHaveNoScaleInCommon) {
  std::swap(g_idx_[3], g_idx_[200]);
  write();
  expect_error([&] { scales(); }, Exit::kModel, "inputs 0 and 3 have different scales",
               "give --format");
}

TEST_F(StoredMatrixTest, WholeGroupsMayBeOutOfOrder) {
  for (int32_t& group : g_idx_) group = 1 - group;
  write();
  EXPECT_EQ(scales(), (std::vector<float>{5, 1, 6, 2, 7, 3, 8, 4}));
}

TEST_F(StoredMatrixTest, ASymmetricFileHasOneZeroPoint) {
  zero_ = 127;
  write();
  expect_error([&] { scales(); }, Exit::kModel, "zero point 127", "says sym, which is 128");
  stored_.symmetric = false;
  EXPECT_EQ(scales().size(), 8u);
}

TEST_F(StoredMatrixTest, ScalesThatNoFormatHoldsAreRefused) {
  for (const float bad : {-1.0f, NAN, INFINITY}) {
    scales_[2] = bad;
    write();
    expect_error([&] { scales(); }, Exit::kModel, "output 2 has the scale", "give --format");
  }
}

TEST_F(StoredMatrixTest, DamagedFilesAreRefused) {
  g_idx_[9] = 2;
  write();
  std::vector<float> values(kInputs);
  expect_error([&] { read_stored_rows(matrix_, stored_, 0, 1, values); }, Exit::kModel,
               "g_idx: input 9 is in group 2 of 2", "damaged");
  write("F32");
  expect_error([&] { check_stored_matrix(matrix_, stored_); }, Exit::kModel,
               "qzeros: want I32 [2, 1], file has F32 [2, 1]");
  stored_.bits = 4;
  expect_error([&] { check_stored_matrix(matrix_, stored_); }, Exit::kModel, "multiples of 8");
}

}  // namespace
}  // namespace llmpq::test
