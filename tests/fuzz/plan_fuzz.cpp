// Plan files: any text either gives a plan, which can be written and read back, or a usage error;
// and what is read is refused or completed without a crash.
#include <cstdlib>

#include "../plan/plan_case.hpp"
#include "kernels/check.hpp"
#include "plan/plan_json.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace llmpq;
  static const PlanCase machine;
  static const PlanRequest request = machine.request({20000, 9000});
  Plan plan;
  try {
    plan = parse_plan(std::string_view(reinterpret_cast<const char*>(data), size), "fuzz.json");
  } catch (const Error& error) {
    if (error.code() != Exit::kUsage) std::abort();
    return 0;
  }
  const std::string text = to_json(plan);
  if (to_json(parse_plan(text, "written.json")) != text) std::abort();
  try {
    complete_plan(request, plan);
  } catch (const Error& error) {
    const Exit code = error.code();
    if (code != Exit::kUsage && code != Exit::kModel && code != Exit::kNoPlan) std::abort();
  }
  return 0;
}
