#include "kernels/cuda/loader.hpp"

#include <dlfcn.h>
#include <fmt/core.h>

#include <cstdlib>
#include <filesystem>

#include "kernels/check.hpp"

namespace llmpq::cuda {
namespace {

namespace fs = std::filesystem;

/// LLMPQ_CUDA_MODULE, else beside the program, else where an installation or a build folder has it.
fs::path module_path() {
  if (const char* path = std::getenv("LLMPQ_CUDA_MODULE")) return path;
  std::error_code none;
  const fs::path folder = fs::read_symlink("/proc/self/exe", none).parent_path();
  for (const fs::path& place :
       {folder / kModuleFile, folder / "../lib" / kModuleFile, folder / "../src" / kModuleFile})
    if (fs::exists(place, none)) return place;
  return {};
}

/// Asked first: cuBLAS alone takes 0.1 s and 94 MB to load, also where no GPU can be.
bool has_driver() {
  void* driver = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL);
  if (driver != nullptr) dlclose(driver);
  return driver != nullptr || std::getenv("LLMPQ_CUDA_MODULE") != nullptr;
}

Loaded load() {
  Loaded loaded;
  const fs::path path = module_path();
  if (path.empty()) {
    loaded.why_none =
        fmt::format("{} is not beside the program: this build has no CUDA", kModuleFile);
    return loaded;
  }
  if (!has_driver()) {
    loaded.why_none = "there is no NVIDIA driver on this machine";
    return loaded;
  }
  // Local: the module's own copy of anything must not replace the program's.
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    loaded.why_none = fmt::format("{} cannot be loaded: {}", path.string(), dlerror());
    return loaded;
  }
  const auto entry = reinterpret_cast<ModuleEntry>(dlsym(library, kModuleEntry));
  const Module* module = entry == nullptr ? nullptr : entry();
  if (module == nullptr || module->version != kModuleVersion) {
    loaded.why_none = fmt::format("{} belongs to another version of llmpq", path.string());
    return loaded;
  }
  loaded.module = module;
  return loaded;
}

}  // namespace

const Loaded& loaded_module() {
  static const Loaded loaded = load();
  return loaded;
}

void throw_failure(const Failure& failure) {
  throw Error(static_cast<Exit>(failure.code), failure.sentence);
}

}  // namespace llmpq::cuda
