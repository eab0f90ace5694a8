#include "commands/arithmetic.hpp"

#include <gtest/gtest.h>

#include "base/expect_error.hpp"

namespace llmpq {
namespace {

Plan plan_of(const std::vector<Format>& formats, Format head) {
  Plan plan;
  plan.head_format = head;
  StagePlan stage;
  stage.formats = formats;
  plan.pipelines = {{.prefill = true, .decode = true, .stages = {stage}}};
  return plan;
}

TEST(Arithmetic, ClassNamesTheTypesOfThePlansFormats) {
  const auto cpu = make_cpu_backend(1, "auto");
  const Plan mixed = plan_of({Format::kW4, Format::kBf16, Format::kW8}, Format::kBf16);
  EXPECT_EQ(arithmetic_class(*cpu, mixed, std::nullopt), "cpu f32+int8");
  EXPECT_EQ(arithmetic_class(*cpu, mixed, ActivationType::kBf16), "cpu bf16+bf16-pairs");
  const Plan bf16 = plan_of({Format::kBf16}, Format::kBf16);
  EXPECT_EQ(arithmetic_class(*cpu, bf16, ActivationType::kBf16), "cpu bf16-pairs");
  EXPECT_EQ(arithmetic_class(*cpu, bf16, std::nullopt), "cpu f32");
  EXPECT_EQ(arithmetic_class(*cpu, plan_of({Format::kW4}, Format::kW8), std::nullopt), "cpu int8");
}

TEST(Arithmetic, IsStoredForTheRanksThatCompute) {
  EXPECT_EQ(arithmetic_json({"cuda bf16", "", "cpu int8"}), R"({"0":"cuda bf16","2":"cpu int8"})");
}

TEST(Arithmetic, NoOtherClassesGoOn) {
  const std::string versions = R"({"llmpq":"x","arithmetic":{"0":"cuda bf16","1":"cpu int8"}})";
  check_arithmetic(versions, {"cpu int8", "cuda bf16", "cuda bf16", ""}, "o.part");
  check_arithmetic(R"({"llmpq":"x"})", {"cuda bf16"}, "o.part");
  check_arithmetic(versions, {"cuda bf16", ""}, "o.part");  // the CPU idles now
  EXPECT_ERROR(check_arithmetic(versions, {"cuda bf16", "cuda f16"}, "o.part"), Exit::kOutput,
               "o.part: cannot go on: its rows were made on ranks that round as \"cpu int8\" and "
               "\"cuda bf16\", these would round as \"cuda bf16\" and \"cuda f16\"");
  EXPECT_ERROR(check_arithmetic(versions, {"cuda f16"}, "o.part"), Exit::kOutput,
               "allow it with --allow-format-change");
}

}  // namespace
}  // namespace llmpq
