#include "input/safetensors.hpp"

#include <array>
#include <cstring>
#include <limits>
#include <vector>

#include "base/temp_folder.hpp"
#include "input/model_files.hpp"
#include "kernels/convert.hpp"

namespace llmpq {
namespace {

using test::expect_error;
using test::safetensors_bytes;
using test::write_bytes;

SafetensorsHeader parse(const std::string& bytes) {
  return parse_safetensors_header(std::as_bytes(std::span(bytes)), std::ssize(bytes), "m.st");
}

template <typename... Parts>
void expect_refused(const std::string& bytes, const Parts&... parts) {
  expect_error([&] { parse(bytes); }, Exit::kModel, "m.st", parts...);
}

template <typename T>
std::string raw(const std::vector<T>& values) {
  std::string bytes(values.size() * sizeof(T), '\0');
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

const std::string kTwo =
    R"({"__metadata__":{"format":"pt"},"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]},)"
    R"("a":{"dtype":"BF16","shape":[2,1],"data_offsets":[0,4]}})";

TEST(Safetensors, ListsTensorsInTheOrderOfTheirPlaces) {
  const auto header = parse(safetensors_bytes(kTwo, std::string(12, '\0')));
  ASSERT_EQ(header.tensors.size(), 2u);
  EXPECT_EQ(header.header_bytes, 8 + std::ssize(kTwo));
  EXPECT_EQ(header.tensors[0].name, "a");
  EXPECT_EQ(header.tensors[0].type, DType::kBf16);
  EXPECT_EQ(header.tensors[0].shape, (std::vector<int64_t>{2, 1}));
  EXPECT_EQ(header.tensors[1].begin, header.header_bytes + 4);
  EXPECT_EQ(header.tensors[1].end, header.header_bytes + 12);
}

TEST(Safetensors, AcceptsPaddingEmptyTensorsScalarsAndTypesItCannotRead) {
  const auto header = parse(safetensors_bytes(
      R"({"e":{"dtype":"F32","shape":[0,9223372036854775807],"data_offsets":[1,1]},)"
      R"("s":{"dtype":"U8","shape":[],"data_offsets":[0,1]},)"
      R"("new":{"dtype":"Q5_X","shape":[3],"data_offsets":[1,3]}}   )",
      "xyz"));
  ASSERT_EQ(header.tensors.size(), 3u);
  for (const auto& tensor : header.tensors)
    EXPECT_EQ(tensor.type.has_value(), tensor.name == "e") << tensor.name;
}

TEST(Safetensors, RefusesImpossibleHeaderLengths) {
  expect_refused("", "0 bytes are too few");
  expect_refused("1234567", "7 bytes are too few");
  expect_refused(safetensors_bytes("{}", "", uint64_t{1} << 63), "9223372036854775808 bytes");
  expect_refused(safetensors_bytes("{}", "", std::numeric_limits<uint64_t>::max()), "want at most");
  expect_refused(safetensors_bytes("{}", "", 100'000'001), "want at most 100000000");
  expect_refused(safetensors_bytes("{}", "", 3), "truncated", "header of 3 bytes in a file of 10");
}

TEST(Safetensors, NamesAGitLfsPointer) {
  expect_refused("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
                 "git lfs pull");
}

TEST(Safetensors, RefusesHeadersThatAreNotWhatTheyShouldBe) {
  expect_refused(safetensors_bytes("", ""), "not JSON");
  expect_refused(safetensors_bytes("{\"a\":", ""), "not JSON");
  expect_refused(safetensors_bytes("[]", ""), "want a JSON object", "array");
  expect_refused(safetensors_bytes(R"({"a":3})", ""), "a: want an object");
  expect_refused(safetensors_bytes(R"({"a":{"dtype":7,"shape":[],"data_offsets":[0,0]}})", ""),
                 "a: want an object with dtype");
  expect_refused(safetensors_bytes(R"({"a":{"dtype":"F32","data_offsets":[0,0]}})", ""), "shape");
  expect_refused(safetensors_bytes(R"({"a":{"dtype":"F32","shape":4,"data_offsets":[0,0]}})", ""),
                 "shape: want an array");
  expect_refused(
      safetensors_bytes(R"({"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,0]}})", ""),
      "shape: want a whole number", "-1");
  expect_refused(
      safetensors_bytes(R"({"a":{"dtype":"F32","shape":[1.5],"data_offsets":[0,0]}})", ""),
      "found 1.5");
  expect_refused(safetensors_bytes(std::string(100'000, '['), ""), "nested deeper");
}

std::string one(const std::string& shape, const std::string& offsets) {
  return safetensors_bytes(
      R"({"a":{"dtype":"F32","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}}",
      std::string(16, '\0'));
}

TEST(Safetensors, RefusesPlacesThatDoNotFit) {
  EXPECT_EQ(parse(one("[4]", "[0,16]")).tensors.size(), 1u);
  expect_refused(one("[4]", "[0]"), "want [begin, end]");
  expect_refused(one("[4]", "[16,0]"), "begin 16 is behind end 0");
  expect_refused(one("[4]", "[4,20]"), "truncated", "ends at byte 20", "which has 16");
  expect_refused(one("[4]", "[0,18446744073709551615]"), "want a whole number");
  expect_refused(one("[4]", "[0,9223372036854775807]"), "truncated");
  expect_refused(one("[4]", "[-4,12]"), "want a whole number");
  expect_refused(one("[4]", "[0,12]"), "F32 [4] takes 16 bytes, data_offsets hold 12");
  expect_refused(one("[4611686018427387904,2]", "[0,16]"), "impossible number");
  expect_refused(one("[4294967296,4294967296]", "[0,0]"), "impossible number");
}

TEST(Safetensors, RefusesOverlapAndDuplicates) {
  expect_refused(safetensors_bytes(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
                                   R"("b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}})",
                                   std::string(12, '\0')),
                 "a and b overlap");
  expect_refused(safetensors_bytes(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
                                   R"("a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
                                   std::string(8, '\0')),
                 "'a' stands there twice");
}

/// A tensor of each type at an odd place of the file, and one that cannot be read.
TEST(Safetensors, ReadsEachTypeAsF32) {
  const std::vector<float> values = {1.5f, -2, 0.25f, 0, 1024};
  std::vector<uint16_t> bf16(values.size()), f16(values.size());
  f32_to_bf16(values.data(), bf16.data(), std::ssize(values));
  f32_to_f16(values.data(), f16.data(), std::ssize(values));
  std::string header = R"({"f32":{"dtype":"F32","shape":[5],"data_offsets":[0,20]},)"
                       R"("bf16":{"dtype":"BF16","shape":[5],"data_offsets":[20,30]},)"
                       R"("f16":{"dtype":"F16","shape":[5],"data_offsets":[30,40]},)"
                       R"("i64":{"dtype":"I64","shape":[1],"data_offsets":[40,48]}})";
  if (header.size() % 2 == 0) header += ' ';
  const TempFolder folder;
  write_bytes(folder / "model.safetensors",
              safetensors_bytes(header, raw(values) + raw(bf16) + raw(f16) + "12345678"));
  const SafetensorsFolder files(folder.path());
  for (const char* name : {"f32", "bf16", "f16"}) {
    std::vector<float> read(3);
    read_elements(files.tensors().at(name), 1, read);
    EXPECT_EQ(read, (std::vector<float>{-2, 0.25f, 0})) << name;
    expect_error([&] { read_elements(files.tensors().at(name), 3, read); }, Exit::kInternal, name);
  }
  std::vector<float> read(1);
  expect_error([&] { read_elements(files.tensors().at("i64"), 0, read); }, Exit::kModel,
               "model.safetensors: i64", "want bf16, f16 or f32, file has I64");
}

TEST(Safetensors, ReadsLongTensorsPieceByPiece) {
  std::vector<uint16_t> bits(5000);
  for (size_t i = 0; i < bits.size(); ++i) bits[i] = f32_to_bf16(static_cast<float>(i % 251));
  const TempFolder folder;
  write_bytes(folder / "model.safetensors",
              safetensors_bytes(R"({"a":{"dtype":"BF16","shape":[5000],"data_offsets":[0,10000]}})",
                                raw(bits)));
  const SafetensorsFolder files(folder.path());
  std::vector<float> values(4990);
  read_elements(files.tensors().at("a"), 7, values);
  for (size_t i = 0; i < values.size(); ++i)
    ASSERT_EQ(values[i], static_cast<float>((i + 7) % 251)) << i;
}

std::string tensor_file(const std::string& name) {
  return safetensors_bytes(
      R"({")" + name + R"(":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", "0000");
}

TEST(Safetensors, OpensTheFilesOfAnIndex) {
  const TempFolder folder;
  write_bytes(folder / "one.safetensors", tensor_file("a"));
  write_bytes(folder / "two.safetensors", tensor_file("b"));
  write_bytes(folder / "model.safetensors.index.json",
              R"({"weight_map":{"a":"one.safetensors","b":"two.safetensors"}})");
  EXPECT_TRUE(SafetensorsFolder::has_files(folder.path()));
  const SafetensorsFolder files(folder.path());
  EXPECT_EQ(files.files().size(), 2u);
  EXPECT_EQ(files.tensors().at("b").file->path().filename(), "two.safetensors");
}

TEST(Safetensors, RefusesAnIndexThatDoesNotFitItsFiles) {
  const TempFolder folder;
  const auto open = [&] { SafetensorsFolder{folder.path()}; };
  const auto index = [&](const std::string& text) {
    write_bytes(folder / "model.safetensors.index.json", text);
  };
  EXPECT_FALSE(SafetensorsFolder::has_files(folder.path()));
  expect_error(open, Exit::kModel, folder.path().string(), "neither model.safetensors nor");
  write_bytes(folder / "one.safetensors", tensor_file("a"));
  index("{}");
  expect_error(open, Exit::kModel, "index.json", "weight_map");
  index(R"({"weight_map":{"a":1}})");
  expect_error(open, Exit::kModel, "a: want a file's name");
  for (const char* name : {"../one.safetensors", "/etc/passwd", "..", ""}) {
    index(std::string(R"({"weight_map":{"a":")") + name + R"("}})");
    expect_error(open, Exit::kModel, "want the name of a file in the same folder");
  }
  index(R"({"weight_map":{"a":"one.safetensors","b":"two.safetensors"}})");
  expect_error(open, Exit::kModel, "two.safetensors is named there and is not in the folder");
  write_bytes(folder / "two.safetensors", tensor_file("a"));
  expect_error(open, Exit::kModel, "a stands in one.safetensors too");
  write_bytes(folder / "two.safetensors", tensor_file("c"));
  expect_error(open, Exit::kModel, "b: two.safetensors does not have it");
}

}  // namespace
}  // namespace llmpq
