#include "input/prompts.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <limits>

#include "base/expect_error.hpp"
#include "base/hdf5.hpp"
#include "base/temp_folder.hpp"

namespace llmpq {
namespace {

class Prompts : public testing::Test {
 protected:
  void SetUp() override { file_.emplace(h5::File::create(path_, false, Exit::kInternal)); }

  template <typename T>
  void add(const std::string& name, const std::vector<T>& values) {
    h5::Dataset column = file_->create_dataset(name, {h5::value_type<T>(), 16, {}});
    column.write(0, std::span<const T>(values));
  }
  void add_text(const std::string& name, const std::vector<std::string>& texts, int64_t bytes = 0) {
    file_->create_dataset(name, {h5::text_type(bytes), 16, {}}).write_text(0, texts);
  }
  void add_tokens(const std::vector<int32_t>& values, const std::vector<int64_t>& splits) {
    h5::Group group = file_->create_group("prompt_token_ids");
    group.create_dataset("values", {h5::value_type<int32_t>(), 16, {}}).write<int32_t>(0, values);
    group.create_dataset("row_splits", {h5::value_type<int64_t>(), 16, {}})
        .write<int64_t>(0, splits);
  }
  PromptsFile open() {
    file_.reset();
    return PromptsFile::open(path_);
  }

  TempFolder folder_;
  std::filesystem::path path_ = folder_ / "p.h5";
  std::optional<h5::File> file_;
};

TEST_F(Prompts, ReadsAWindowOfVariableStrings) {
  add_text("prompt", {"a", "", "żółć", "d"});
  add_text("note", {"x", "y", "z", "w"});
  const PromptsFile prompts = open();
  EXPECT_EQ(prompts.rows(), 4);
  EXPECT_EQ(prompts.ignored(), std::vector<std::string>{"note"});
  EXPECT_FALSE(prompts.has_ids());
  Sampling job;
  job.max_tokens = 7;
  const auto window = prompts.read(1, 2, job);
  ASSERT_EQ(window.size(), 2u);
  EXPECT_EQ(window[0].text, "");
  EXPECT_EQ(window[1].text, "żółć");
  EXPECT_EQ(window[1].row, 2);
  EXPECT_EQ(window[1].sampling.max_tokens, 7);
  EXPECT_FALSE(window[1].has_tokens);
  EXPECT_ERROR(prompts.read(3, 2, {}), Exit::kPrompts, "rows 3 to 5 are wanted, the file has 4");
}

TEST_F(Prompts, ReadsFixedLengthStringsAndIds) {
  add_text("prompt", {"abc", "de"}, 5);
  add_text("id", {"row-a", "row-b"});
  const PromptsFile prompts = open();
  EXPECT_EQ(prompts.read(0, 2, {})[0].text, "abc");
  EXPECT_EQ(prompts.read_ids(1, 1), std::vector<std::string>{"row-b"});
}

TEST_F(Prompts, IdsAndSeedsMayHaveAllBits) {
  const auto hash = [&](uint64_t seed) {
    file_.reset();
    file_.emplace(h5::File::create(path_, false, Exit::kInternal));
    add_text("prompt", {"a", "b"});
    add<uint64_t>("id", {uint64_t{1} << 63, std::numeric_limits<uint64_t>::max()});
    add<uint64_t>("seed", {seed, 0});
    return open().content_hash();
  };
  const uint64_t first = hash((uint64_t{1} << 63) + 1);
  EXPECT_NE(hash((uint64_t{1} << 63) + 2), first);
  EXPECT_EQ(open().read_ids(0, 2),
            (std::vector<std::string>{"9223372036854775808", "18446744073709551615"}));
  EXPECT_EQ(open().read(0, 1, {})[0].sampling.seed, (uint64_t{1} << 63) + 2);
}

TEST_F(Prompts, ReadsTokenIds) {
  add_tokens({5, 6, 7, -4, 9}, {0, 3, 3, 5});
  add<int64_t>("id", {10, 11, 12});
  const PromptsFile prompts = open();
  EXPECT_EQ(prompts.rows(), 3);
  const auto window = prompts.read(0, 3, {});
  EXPECT_EQ(window[0].tokens, (std::vector<int32_t>{5, 6, 7}));
  EXPECT_TRUE(window[0].has_tokens);
  EXPECT_TRUE(window[1].tokens.empty());
  EXPECT_EQ(window[1].error, "");
  EXPECT_EQ(window[2].error, "the prompt's token id -4 is no token id");
  EXPECT_EQ(prompts.read_ids(2, 1), std::vector<std::string>{"12"});
}

TEST_F(Prompts, TokensOfManyLongRowsAreReadPieceByPiece) {
  // 20 rows of a million tokens, and one of 2^31, none of which is stored: HDF5 fills them in.
  constexpr int64_t kLong = 1'000'000, kRows = 20, kLongest = int64_t{1} << 31;
  h5::Group group = file_->create_group("prompt_token_ids");
  group.create_dataset("values", {h5::value_type<int32_t>(), 1 << 16, {}})
      .resize(kRows * kLong + kLongest);
  std::vector<int64_t> splits;
  for (int64_t row = 0; row <= kRows; ++row) splits.push_back(row * kLong);
  splits.push_back(kRows * kLong + kLongest);
  group.create_dataset("row_splits", {h5::value_type<int64_t>(), 16, {}}).write<int64_t>(0, splits);
  const PromptsFile prompts = open();
  const auto window = prompts.read(kRows - 1, 2, {});
  EXPECT_EQ(window[0].tokens, std::vector<int32_t>(kLong, 0));
  EXPECT_EQ(window[1].error, "the prompt has 2147483648 tokens, more than any context");
  EXPECT_NO_THROW(prompts.content_hash());
}

TEST_F(Prompts, ColumnsWinOverTheJobAndMinusOneAndNanDoNot) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  add_text("prompt", {"a", "b"});
  add<int32_t>("max_tokens", {3, -1});
  add<float>("temperature", {nan, 0.5F});
  add<double>("top_p", {0.25, -1});
  add<int64_t>("seed", {-1, 123456789012345678});
  add<uint8_t>("ignore_eos", {1, 0});
  add_text("stop", {"", "[\"x\", \"y\"]"});
  Sampling job;
  job.temperature = 0.75F;
  job.stop = {"job"};
  const auto window = open().read(0, 2, job);
  EXPECT_EQ(window[0].sampling.max_tokens, 3);
  EXPECT_EQ(window[1].sampling.max_tokens, 256);
  EXPECT_EQ(window[0].sampling.temperature, 0.75F);
  EXPECT_EQ(window[1].sampling.temperature, 0.5F);
  EXPECT_EQ(window[0].sampling.top_p, 0.25F);
  EXPECT_EQ(window[1].sampling.top_p, 1);
  EXPECT_FALSE(window[0].sampling.seed.has_value());
  EXPECT_EQ(window[1].sampling.seed, 123456789012345678u);
  EXPECT_TRUE(window[0].sampling.ignore_eos);
  EXPECT_EQ(window[0].sampling.stop, std::vector<std::string>{"job"});
  EXPECT_EQ(window[1].sampling.stop, (std::vector<std::string>{"x", "y"}));
}

TEST_F(Prompts, ABadValueIsTheErrorOfItsRow) {
  add_text("prompt", {"a", "b", "c"});
  add<float>("temperature", {-2, 1, std::numeric_limits<float>::infinity()});
  add<int32_t>("max_tokens", {0, 5, 5});
  const auto window = open().read(0, 3, {});
  EXPECT_THAT(window[0].error, testing::HasSubstr("max_tokens is 0"));
  EXPECT_THAT(window[0].error, testing::HasSubstr("temperature is -2, want a value of at least 0"));
  EXPECT_EQ(window[1].error, "");
  EXPECT_THAT(window[2].error, testing::HasSubstr("temperature is inf"));
}

TEST_F(Prompts, AnEmptyFileHasNoRows) {
  add_text("prompt", {});
  const PromptsFile prompts = open();
  EXPECT_EQ(prompts.rows(), 0);
  EXPECT_TRUE(prompts.read(0, 0, {}).empty());
  EXPECT_TRUE(prompts.read_ids(0, 0).empty());
}

TEST_F(Prompts, AnotherFileThanHdf5IsToldTheWay) {
  std::ofstream(folder_ / "p.jsonl") << "{}";
  EXPECT_ERROR(PromptsFile::open(folder_ / "p.jsonl"), Exit::kPrompts,
               "p.jsonl --output prompts.h5 makes one");
  std::ofstream(folder_ / "broken.h5") << "{}";
  EXPECT_ERROR(PromptsFile::open(folder_ / "broken.h5"), Exit::kPrompts,
               "broken.h5: not an HDF5 file");
}

TEST_F(Prompts, NoPromptsIsAnError) {
  add_text("text", {"a"});
  EXPECT_ERROR(open(), Exit::kPrompts, "p.h5: want a dataset /prompt with strings");
}

TEST_F(Prompts, WrongTypesAreErrorsThatNameTheDataset) {
  add<int32_t>("prompt", {1});
  EXPECT_ERROR(open(), Exit::kPrompts, "p.h5:/prompt: want strings, found int32");
}

TEST_F(Prompts, AColumnOfTheWrongTypeIsAnError) {
  add_text("prompt", {"a"});
  add_text("max_tokens", {"3"});
  EXPECT_ERROR(open(), Exit::kPrompts, "p.h5:/max_tokens: want integers, found string");
}

TEST_F(Prompts, IntegersMayBeFloatsWithoutFractions) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  add_text("prompt", {"a", "b", "c", "d"});
  add<double>("max_tokens", {3, nan, -1, 2.5});
  add<double>("seed", {nan, 7, 0.5, 0x1p53});
  const auto window = open().read(0, 4, {});
  EXPECT_EQ(window[0].sampling.max_tokens, 3);
  EXPECT_FALSE(window[0].sampling.seed.has_value());
  EXPECT_EQ(window[1].sampling.max_tokens, 256);
  EXPECT_EQ(window[1].sampling.seed, 7u);
  EXPECT_EQ(window[0].error + window[1].error, "");
  EXPECT_THAT(window[2].error, testing::HasSubstr("seed is 0.5, want a whole number from 0 to"));
  EXPECT_THAT(window[3].error, testing::HasSubstr("max_tokens is 2.5, want a whole number"));
  EXPECT_THAT(window[3].error,
              testing::HasSubstr("seed is 9007199254740992, want a whole number from 0 to"));
}

TEST_F(Prompts, AColumnOfTheWrongLengthIsAnError) {
  add_text("prompt", {"a", "b"});
  add<float>("temperature", {1, 1, 1});
  EXPECT_ERROR(open(), Exit::kPrompts, "p.h5:/temperature: want 2 rows like the prompts, found 3");
}

TEST_F(Prompts, AColumnOfTwoDimensionsIsAnError) {
  add_text("prompt", {"a"});
  file_->create_dataset("seed", {h5::value_type<int64_t>(), 16, {2}});
  EXPECT_ERROR(open(), Exit::kPrompts, "p.h5:/seed: want one dimension, found 2");
}

TEST_F(Prompts, SplitsThatFallOrEndElsewhereAreErrors) {
  add_tokens({1, 2, 3}, {0, 2, 1, 3});
  EXPECT_ERROR(open(), Exit::kPrompts, "row_splits: 1 follows 2");
  file_.emplace(h5::File::create(path_, false, Exit::kInternal));
  add_tokens({1, 2, 3}, {0, 2});
  EXPECT_ERROR(open(), Exit::kPrompts, "row_splits: the last is 2, but there are 3 values");
  file_.emplace(h5::File::create(path_, false, Exit::kInternal));
  add_tokens({}, {});
  EXPECT_ERROR(open(), Exit::kPrompts, "row_splits: want one more split than rows");
}

TEST_F(Prompts, TheHashFollowsWhatDecidesResults) {
  const auto hash = [&](const std::string& first, int32_t tokens, const std::string& id) {
    file_.reset();
    file_.emplace(h5::File::create(path_, false, Exit::kInternal));
    add_text("prompt", {first, "b"});
    add<int32_t>("max_tokens", {tokens, 5});
    add_text("id", {id, "2"});
    return open().content_hash();
  };
  const uint64_t same = hash("a", 5, "1");
  EXPECT_EQ(hash("a", 5, "other id"), same);
  EXPECT_NE(hash("ab", 5, "1"), same);
  EXPECT_NE(hash("a", 6, "1"), same);
}

TEST(SelectRows, RangesAndShards) {
  const auto range = [](const auto& r) { return std::pair(r.begin, r.end); };
  using P = std::pair<int64_t, int64_t>;
  EXPECT_EQ(range(select_rows(10, "", "")), P(0, 10));
  EXPECT_EQ(range(select_rows(10, "2:5", "")), P(2, 5));
  EXPECT_EQ(range(select_rows(10, ":5", "")), P(0, 5));
  EXPECT_EQ(range(select_rows(10, "7:", "")), P(7, 10));
  EXPECT_EQ(range(select_rows(10, "10:10", "")), P(10, 10));
  int64_t covered = 0;
  for (const char* shard : {"0/3", "1/3", "2/3"}) {
    const auto part = select_rows(10, "", shard);
    EXPECT_EQ(part.begin, covered);
    covered = part.end;
  }
  EXPECT_EQ(covered, 10);
  for (const char* wrong : {"5", "a:b", "5:2", "0:11", "-1:3", "1:2:3"}) {
    EXPECT_ERROR(select_rows(10, wrong, ""), Exit::kUsage, std::string("--rows ") + wrong);
  }
  for (const char* wrong : {"1", "3/3", "0/0", "-1/2", "a/2", "1/2/3"}) {
    EXPECT_ERROR(select_rows(10, "", wrong), Exit::kUsage, std::string("--shard ") + wrong);
  }
  EXPECT_ERROR(select_rows(10, "0:1", "0/2"), Exit::kUsage, "only one of them");
}

}  // namespace
}  // namespace llmpq
