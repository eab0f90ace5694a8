#include "commands/eval_report.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/json.hpp"

namespace llmpq {
namespace {

using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;

EvalReport full_report() {
  EvalReport report;
  report.formats = "w4 x8";
  report.reference = {{-10, 10}, {-30, 20}};
  report.scores = {{-11, 10, 0.5, 9}, {-32, 20, 0.4, 18}};
  report.tasks = {{"", {"a"}, "x"}, {"", {"a"}, "y"}, {"", {"a"}, "x"}};
  report.outcomes = {TaskOutcome::kSolved, TaskOutcome::kFailed, TaskOutcome::kMissed};
  return report;
}

nlohmann::json parsed(const EvalReport& report) {
  return parse_json(to_json(report), "the report", Exit::kInternal);
}

TEST(EvalReport, JsonHasEachFigureWithItsError) {
  const auto json = parsed(full_report());
  EXPECT_EQ(json["tokens"], 30);
  EXPECT_DOUBLE_EQ(json["perplexity"], std::exp(43.0 / 30));
  EXPECT_GT(json["standard_error"], 0);
  EXPECT_DOUBLE_EQ(json["divergence"]["mean"], 0.03);
  EXPECT_DOUBLE_EQ(json["divergence"]["same_top"], 0.9);
  EXPECT_NEAR(json["divergence"]["same_top_standard_error"], 0, 1e-15);
  EXPECT_DOUBLE_EQ(json["divergence"]["perplexity_increase"], std::exp(0.1) - 1);
  EXPECT_NEAR(json["divergence"]["perplexity_increase_standard_error"], 0, 1e-15);
  EXPECT_DOUBLE_EQ(json["divergence"]["reference_perplexity"], std::exp(40.0 / 30));
  EXPECT_EQ(json["accuracy"]["tasks"], 3);
  EXPECT_EQ(json["accuracy"]["solved"], 1);
  EXPECT_EQ(json["accuracy"]["failed"], 1);
  EXPECT_EQ(json["accuracy"]["kinds"]["x"]["tasks"], 2);
  EXPECT_EQ(json["accuracy"]["kinds"]["y"]["share"], 0);
  EXPECT_EQ(json["windows"].size(), 2u);
}

TEST(EvalReport, OneWindowKnowsNoError) {
  EvalReport report;
  report.scores = {{-11, 10}};
  EXPECT_TRUE(parsed(report)["standard_error"].is_null());
  EXPECT_FALSE(parsed(report).contains("divergence"));
  EXPECT_FALSE(parsed(report).contains("accuracy"));
  EXPECT_THAT(describe(report), HasSubstr("one window: error unknown"));
}

TEST(EvalReport, SaysWhatThePlanPromised) {
  EvalReport report = full_report();
  EXPECT_THAT(describe(report), Not(HasSubstr("promised")));
  EXPECT_FALSE(parsed(report).contains("promised"));
  report.promised.perplexity_increase = 0.0063;
  report.promised.perplexity_quantizer = Quantizer::kGptq;
  const std::string promise =
      "promised quality: perplexity +0.63 % over 16 bit for weights rounded by gptq";
  EXPECT_THAT(describe(report),
              HasSubstr("perplexity increase 10.517 +- 0.000 %\n" + promise + "\n"));
  EXPECT_EQ(parsed(report)["promised"]["perplexity_increase"], 0.0063);
  EXPECT_EQ(parsed(report)["promised"]["quantizer"], "gptq");
  report.reference.clear();
  EXPECT_THAT(describe(report), HasSubstr(promise + " (--divergence measures it)\n"));
}

TEST(EvalReport, PeopleReadTheSame) {
  const std::string text = describe(full_report());
  EXPECT_THAT(text, HasSubstr("KL divergence 0.030000 +- "));
  EXPECT_THAT(text, HasSubstr("same top-1 90.00 +- 0.00 % of tokens"));
  EXPECT_THAT(text, HasSubstr("perplexity increase 10.517 +- 0.000 %"));
  EXPECT_THAT(text, ContainsRegex("all +3 +1 +33.3% +6.1% +79.2% +1\n"));
}

}  // namespace
}  // namespace llmpq
