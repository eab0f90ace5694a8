#include "profile/profile_json.hpp"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/expect_error.hpp"

namespace llmpq {
namespace {

ProfileFile some_profile() {
  ProfileFile file;
  file.note = "a \"note\"";
  DeviceProfile device;
  device.device = "NVIDIA H200";
  device.backend = BackendKind::kCuda;
  device.source = "measured";
  device.shape = "1f";
  device.held_out_error = 0.031;
  device.model.layer[Format::kBf16] = {{1, 64, 8192}, {1e-5, 1.0 / 3, 7}};
  device.model.layer[Format::kW3] = {{2}, {0.1}};
  device.model.prefill_key_s = 1e-12;
  device.model.decode_key_s = 2.5e-10;
  device.model.embedding = {{1}, {0}};
  device.model.head[Format::kW8] = {{1, 2}, {3, 4}};
  device.products = {{Format::kW4, 28672, 4096, 64, ProductKernel::kFewRowsAhead},
                     {Format::kW4, 28672, 4096, 512, ProductKernel::kWgmma}};
  file.devices = {device, device};
  file.devices[1].held_out_error.reset();
  file.devices[1].backend = BackendKind::kCpu;
  file.links = {{0, 1, {1e-5, 1e-10}}, {1, 0, {2e-5, 1e-10}}};
  return file;
}

/// The file's text with one piece of it replaced, which must stand there once.
std::string changed(const std::string& from, const std::string& to) {
  ProfileFile file = some_profile();
  file.devices.pop_back();
  std::string text = to_json(file);
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from << " is not in\n" << text;
  EXPECT_EQ(text.find(from, at + 1), std::string::npos) << from << " is there twice";
  return text.replace(at, from.size(), to);
}

#define EXPECT_REFUSED(from, to, part) \
  EXPECT_ERROR(parse_profile(changed(from, to), "p.json"), Exit::kUsage, part)

TEST(ProfileJson, RoundTripIsExact) {
  const ProfileFile before = some_profile();
  const ProfileFile after = parse_profile(to_json(before), "p.json");
  EXPECT_EQ(after.note, before.note);
  ASSERT_EQ(after.devices.size(), 2u);
  for (size_t i = 0; i < 2; ++i) {
    const DeviceProfile &a = after.devices[i], &b = before.devices[i];
    EXPECT_EQ(a.device, b.device);
    EXPECT_EQ(a.backend, b.backend);
    EXPECT_EQ(a.source, b.source);
    EXPECT_EQ(a.shape, b.shape);
    EXPECT_EQ(a.held_out_error, b.held_out_error);
    ASSERT_EQ(a.model.layer.size(), 2u);
    for (const auto& [format, curve] : b.model.layer) {
      EXPECT_EQ(a.model.layer.at(format).rows, curve.rows);
      EXPECT_EQ(a.model.layer.at(format).seconds, curve.seconds);
    }
    EXPECT_EQ(a.model.prefill_key_s, b.model.prefill_key_s);
    EXPECT_EQ(a.model.decode_key_s, b.model.decode_key_s);
    EXPECT_EQ(a.model.embedding.rows, b.model.embedding.rows);
    EXPECT_EQ(a.model.head.at(Format::kW8).seconds, b.model.head.at(Format::kW8).seconds);
    EXPECT_EQ(a.products, b.products);
  }
  ASSERT_EQ(after.links.size(), 2u);
  EXPECT_EQ(after.links[1].from, 1);
  EXPECT_EQ(after.links[1].link.latency_s, 2e-5);
  EXPECT_EQ(to_json(after), to_json(before));
}

TEST(ProfileJson, KernelsAreChecked) {
  EXPECT_REFUSED("\"few-rows-ahead\"", "\"fast\"",
                 "devices[0].products[0].kernel: want one of few-rows, few-rows-ahead, ");
  EXPECT_REFUSED("\"most_rows\":64", "\"most_rows\":0", "devices[0].products[0].most_rows");
  EXPECT_REFUSED("{\"format\":\"w4\",\"n\":28672,\"k\":4096,\"most_rows\":64",
                 "{\"format\":\"bf16\",\"n\":28672,\"k\":4096,\"most_rows\":64",
                 "devices[0].products[0].format");
  EXPECT_REFUSED("{\"format\":\"w4\",\"n\":28672,\"k\":4096,\"most_rows\":64",
                 "{\"format\":\"w4\",\"n\":0,\"k\":4096,\"most_rows\":64",
                 "devices[0].products[0].n");
}

TEST(ProfileJson, NumbersAreChecked) {
  EXPECT_REFUSED("[1.0,64.0,8192.0]", "[1,64,32]",
                 "devices[0].layer.bf16.rows[2]: want rows that ascend from above 0, found 32");
  EXPECT_REFUSED("[1.0,64.0,8192.0]", "[0,64,8192]", "rows[0]: want rows that ascend");
  EXPECT_REFUSED("[1.0,64.0,8192.0]", "[1,64]", "seconds: want 2 numbers, one for each of rows");
  EXPECT_REFUSED("[1.0,64.0,8192.0]", "[]", "rows: want a list of numbers of 0 or more");
  EXPECT_REFUSED("\"seconds\":[0.1]", "\"seconds\":[-0.1]",
                 "layer.w3.seconds[0]: want a number of 0 or more, found -0.1");
  EXPECT_REFUSED("\"seconds\":[0.1]", "\"seconds\":[null]", "seconds[0]: want a number");
  EXPECT_REFUSED("\"seconds\":[0.1]", "\"seconds\":[NaN]", "not JSON at byte");
  EXPECT_REFUSED("\"seconds\":[0.1]", "\"seconds\":[1e999]", "not JSON");
  EXPECT_REFUSED("\"prefill_key_s\": 1e-12", "\"prefill_key_s\": -1", "prefill_key_s: want a");
  EXPECT_REFUSED("\"prefill_key_s\": 1e-12", "\"prefill_key_s\": null", "prefill_key_s is missing");
  EXPECT_REFUSED("\"latency_s\":2e-05", "\"latency_s\":\"fast\"", "links[1].latency_s: want a");
  EXPECT_REFUSED("{\"from\":0", "{\"from\":-1", "links[0].from: want a whole number from 0");
}

TEST(ProfileJson, NamesAreChecked) {
  EXPECT_REFUSED("\"w3\"", "\"w5\"", "devices[0].layer.w5: no weight format has this name");
  EXPECT_REFUSED("\"backend\": \"cuda\"", "\"backend\": \"rocm\"",
                 "devices[0].backend: want cpu or cuda, found \"rocm\"");
  EXPECT_REFUSED("\"decode_key_s\"", "\"decode_keys_s\"", "did you mean decode_key_s?");
  EXPECT_REFUSED("llmpq-profile-1", "llmpq-profile-2", "format: want \"llmpq-profile-1\"");
  EXPECT_REFUSED("\"device\": \"NVIDIA H200\"", "\"device\": 5", "device: want a text, found 5");
  EXPECT_ERROR(parse_profile("{}", "p.json"), Exit::kUsage, "p.json: format is missing");
  EXPECT_ERROR(parse_profile("[]", "p.json"), Exit::kUsage, "p.json: want an object, found []");
  EXPECT_ERROR(parse_profile(R"({"format": "llmpq-profile-1", "devices": []})", "p.json"),
               Exit::kUsage, "devices: want at least one device");
  EXPECT_ERROR(parse_profile(R"({"format": "llmpq-profile-1", "devices": [7]})", "p.json"),
               Exit::kUsage, "devices[0]: want an object, found 7");
  EXPECT_ERROR(load_profile("/nowhere/p.json"), Exit::kUsage, "/nowhere/p.json");
}

TEST(ProfileJson, TheOriginalsPointsHaveItsRatios) {
  const auto folder = std::filesystem::path(LLMPQ_DATA) / "profiles";
  const LatencyModel v100 = load_profile(folder / "v100-opt-30b.json").devices.at(0).model;
  const LatencyModel p100 = load_profile(folder / "p100-opt-30b.json").devices.at(0).model;
  StepShape prefill, decode;  // of 8 prompts of 512 tokens, and 8 sequences with 512 in the cache
  prefill.prefill_rows = 8 * 512;
  prefill.prefill_keys = 8 * keys_of(0, 512);
  decode.decode_rows = 8;
  decode.decode_keys = 8 * keys_of(512, 1);
  const auto ratio = [&](Format format, const StepShape& shape) {
    return layer_seconds(p100, format, shape).value() / layer_seconds(v100, format, shape).value();
  };
  EXPECT_NEAR(ratio(Format::kF16, prefill), 14.53, 0.01);
  EXPECT_NEAR(ratio(Format::kF16, decode), 7.29, 0.01);
  EXPECT_NEAR(ratio(Format::kW4, prefill), 2.96, 0.01);
  EXPECT_NEAR(ratio(Format::kW4, decode), 2.71, 0.01);
  EXPECT_NEAR(layer_seconds(v100, Format::kF16, prefill).value(), 0.07781, 1e-5);
}

}  // namespace
}  // namespace llmpq
