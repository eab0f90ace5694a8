// Profile files: any text either gives a profile, which can be written and read back, or a usage
// error.
#include <cstdlib>

#include "kernels/check.hpp"
#include "profile/profile_json.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace llmpq;
  ProfileFile profile;
  try {
    profile = parse_profile({reinterpret_cast<const char*>(data), size}, "fuzz.json");
  } catch (const Error& error) {
    if (error.code() != Exit::kUsage) std::abort();
    return 0;
  }
  const std::string text = to_json(profile);
  if (to_json(parse_profile(text, "written.json")) != text) std::abort();
  return 0;
}
