// Profiles that were measured before: one file for each thing that a measurement depends on, so
// that the second job starts at once. Used by commands/profiles on rank 0.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "input/model_config.hpp"
#include "profile/latency_model.hpp"

namespace llmpq {

/// What the sizes of a layer and of the head are, as 16 hexadecimal digits: DeviceProfile::shape.
std::string layer_shape(const ModelConfig& config);

/// What a measurement depends on.
struct ProfileKey {
  std::string device;      ///< its name
  std::string driver;      ///< of a GPU; instruction set of a CPU
  std::string build;       ///< program_build()
  std::string shape;       ///< layer_shape()
  std::string arithmetic;  ///< formats, how inputs are rounded, the cache's type, sampling
  std::string grid;        ///< how far it goes
  std::string neighbours;  ///< threads, and who computes on the same device
  /// All of it, for comparison and for people.
  std::string text() const;
};

/// Hash of the running program and of the CUDA module, if that is loaded.
std::string program_build();
/// Version of the NVIDIA driver; empty without one.
std::string gpu_driver();

/// $XDG_CACHE_HOME/llmpq, or ~/.cache/llmpq; empty where neither variable is set.
std::filesystem::path usual_cache_folder();

/// The file that holds the profile of a key.
std::filesystem::path cache_file(const std::filesystem::path& folder, const std::string& key);

/// Nothing if there is no such file. A file that is broken, or of another key, is logged as a
/// warning and counts as none.
std::optional<DeviceProfile> find_profile(const std::filesystem::path& folder,
                                          const std::string& key);
/// Makes the folder. What fails is logged as a warning: the job does not need the file.
void keep_profile(const std::filesystem::path& folder, const std::string& key,
                  const DeviceProfile& profile);

}  // namespace llmpq
