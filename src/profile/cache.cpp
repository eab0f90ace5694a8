#include "profile/cache.hpp"

#include <fmt/format.h>

#include <cstdlib>
#include <fstream>

#include "base/file.hpp"
#include "base/hash.hpp"
#include "base/log.hpp"
#include "kernels/check.hpp"
#include "profile/profile_json.hpp"

namespace llmpq {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kLargestProgram = int64_t{1} << 30;

/// The file that this process has loaded CUDA kernels from; empty if it has not.
std::string loaded_module() {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);)
    if (const size_t path = line.find('/');
        path != std::string::npos && line.find("libllmpq_cuda") != std::string::npos)
      return line.substr(path);
  return "";
}

fs::path from_environment(const char* name, const char* inside) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0' ? fs::path(value) / inside : fs::path();
}

}  // namespace

std::string layer_shape(const ModelConfig& c) {
  Hasher hasher;
  for (const int64_t size : {c.hidden, c.ffn, c.heads, c.kv_heads, c.head_dim, c.vocab,
                             c.rotary_dim, c.experts, c.experts_per_token, c.projected_width})
    hasher.add(size);
  for (const int kind :
       {static_cast<int>(c.norm), static_cast<int>(c.activation), static_cast<int>(c.position),
        static_cast<int>(c.gated), static_cast<int>(c.qkv_bias), static_cast<int>(c.out_bias),
        static_cast<int>(c.ffn_bias), static_cast<int>(c.norm_bias),
        static_cast<int>(c.embedding_norm), static_cast<int>(c.checkpoint_type),
        static_cast<int>(c.norm_place), static_cast<int>(c.parallel),
        static_cast<int>(c.shared_norm), static_cast<int>(c.qk_norm),
        static_cast<int>(c.attention_soft_cap > 0), static_cast<int>(c.logit_soft_cap > 0)})
    hasher.add(kind);
  return fmt::format("{:016x}", hasher.value());
}

std::string ProfileKey::text() const {
  return fmt::format("{} | {} | build {} | shape {} | {} | {} | {}", device, driver, build, shape,
                     arithmetic, grid, neighbours);
}

std::string program_build() {
  Hasher hasher;
  hasher.add(read_file("/proc/self/exe", kLargestProgram, Exit::kInternal));
  if (const std::string module = loaded_module(); !module.empty())
    hasher.add(read_file(module, kLargestProgram, Exit::kInternal));
  return fmt::format("{:016x}", hasher.value());
}

std::string gpu_driver() {
  std::ifstream file("/proc/driver/nvidia/version");
  std::string line;
  std::getline(file, line);
  return line;
}

fs::path usual_cache_folder() {
  const fs::path folder = from_environment("XDG_CACHE_HOME", "llmpq");
  return folder.empty() ? from_environment("HOME", ".cache/llmpq") : folder;
}

fs::path cache_file(const fs::path& folder, const std::string& key) {
  return folder / fmt::format("profile-{:016x}.json", hash_of(key));
}

std::optional<DeviceProfile> find_profile(const fs::path& folder, const std::string& key) {
  const fs::path file = cache_file(folder, key);
  std::error_code ignored;
  if (folder.empty() || !fs::exists(file, ignored)) return std::nullopt;
  try {
    ProfileFile cached = load_profile(file);
    if (cached.note == key && cached.devices.size() == 1) return std::move(cached.devices[0]);
    log_warning("{} holds another profile: measured again", file.string());
  } catch (const std::exception& error) {
    log_warning("a profile that was kept cannot be read and is measured again: {}", error.what());
  }
  return std::nullopt;
}

void keep_profile(const fs::path& folder, const std::string& key, const DeviceProfile& profile) {
  if (folder.empty()) return;
  try {
    fs::create_directories(folder);
    write_file_atomically(cache_file(folder, key), to_json({key, {profile}, {}}), Exit::kOutput);
  } catch (const std::exception& error) {
    log_warning("the profile is not kept for the next job: {}", error.what());
  }
}

}  // namespace llmpq
