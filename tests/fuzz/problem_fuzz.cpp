// Problem files: any text either gives a problem, which can be written and read back, or a usage
// error.
#include <cstdlib>

#include "kernels/check.hpp"
#include "plan/problem_json.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace llmpq;
  Problem problem;
  try {
    problem = parse_problem({reinterpret_cast<const char*>(data), size}, "fuzz.json");
  } catch (const Error& error) {
    if (error.code() != Exit::kUsage) std::abort();
    return 0;
  }
  const std::string text = to_json(problem);
  if (to_json(parse_problem(text, "written.json")) != text) std::abort();
  return 0;
}
