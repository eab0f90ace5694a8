#include "profile/cache.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "base/temp_folder.hpp"
#include "profile/profile_json.hpp"

namespace llmpq {
namespace {

DeviceProfile some_profile() {
  DeviceProfile profile;
  profile.device = "a device";
  profile.source = "measured";
  profile.shape = "0123";
  profile.model.layer[Format::kW4] = {{1, 8}, {1e-5, 2e-5}};
  profile.model.prefill_layer[Format::kW4] = {{8, 64}, {3e-5, 4e-5}};
  profile.model.embedding = {{1}, {1e-6}};
  profile.model.head[Format::kBf16] = {{1}, {1e-4}};
  profile.model.decode_key_s = 0.1 + 0.2;  // needs all digits
  profile.model.prefill_context_s = 3e-9;
  profile.model.mixed_s = 1e-5;
  profile.held_out_error = 0.03;
  return profile;
}

TEST(ProfileCache, KeepsAndFinds) {
  const TempFolder folder;
  const auto place = folder.path() / "new" / "folder";
  EXPECT_FALSE(find_profile(place, "key"));
  keep_profile(place, "key", some_profile());
  const auto found = find_profile(place, "key");
  ASSERT_TRUE(found);
  EXPECT_EQ(to_json({"", {*found}, {}}), to_json({"", {some_profile()}, {}}));
  EXPECT_EQ(found->model.prefill_layer.at(Format::kW4).seconds.at(1), 4e-5);
  EXPECT_EQ(found->model.decode_key_s, 0.1 + 0.2);
  EXPECT_EQ(found->model.mixed_s, 1e-5);
  EXPECT_FALSE(find_profile(place, "another key"));
}

TEST(ProfileCache, WhatIsBrokenCountsAsNone) {
  const TempFolder folder;
  keep_profile(folder.path(), "key", some_profile());
  const auto file = cache_file(folder.path(), "key");
  const std::string whole = [&] {
    std::ifstream in(file);
    return std::string(std::istreambuf_iterator<char>(in), {});
  }();
  for (const std::string& text :
       {std::string(), whole.substr(0, whole.size() / 2), std::string("{}"), whole + "x"}) {
    std::ofstream(file, std::ios::trunc) << text;
    EXPECT_FALSE(find_profile(folder.path(), "key")) << text;
  }
  std::ofstream(file, std::ios::trunc) << to_json({"another key", {some_profile()}, {}});
  EXPECT_FALSE(find_profile(folder.path(), "key")) << "a collision of hashes";
  keep_profile(folder.path(), "key", some_profile());
  EXPECT_TRUE(find_profile(folder.path(), "key")) << "replaced";
}

TEST(ProfileCache, AFolderThatCannotBeIsNoError) {
  keep_profile("/proc/no/such/folder", "key", some_profile());
  keep_profile("", "key", some_profile());
  EXPECT_FALSE(find_profile("", "key"));
}

TEST(ProfileCache, FolderOfTheEnvironment) {
  const char* before = std::getenv("XDG_CACHE_HOME");
  const std::string kept = before ? before : "";
  setenv("XDG_CACHE_HOME", "/some/place", 1);
  EXPECT_EQ(usual_cache_folder(), "/some/place/llmpq");
  unsetenv("XDG_CACHE_HOME");
  const char* home = std::getenv("HOME");
  EXPECT_EQ(usual_cache_folder(),
            home ? std::filesystem::path(home) / ".cache/llmpq" : std::filesystem::path());
  if (before) setenv("XDG_CACHE_HOME", kept.c_str(), 1);
}

TEST(ProfileCache, ShapesAndKeysTellApart) {
  const ModelConfig config = load_model_config(std::string(LLMPQ_DATA) + "/tiny");
  ModelConfig other = config;
  other.layers += 1;
  EXPECT_EQ(layer_shape(config), layer_shape(other)) << "layers are measured one by one";
  other.ffn += 128;
  EXPECT_NE(layer_shape(config), layer_shape(other));
  EXPECT_EQ(layer_shape(config).size(), 16u);
  ProfileKey key{"device", "driver", "build", "shape", "formats", "grid", "2 threads"};
  const std::string text = key.text();
  key.neighbours = "2 threads, 2 threads";
  EXPECT_NE(key.text(), text);
  EXPECT_EQ(program_build(), program_build());
}

}  // namespace
}  // namespace llmpq
