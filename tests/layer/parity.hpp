// What parity tests share: the content of an expected.json, and when logits are the same.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "layer/test_model.hpp"

namespace llmpq {

using Logits = std::vector<std::vector<float>>;
inline constexpr double kParityTolerance = 1e-4;  ///< of the largest logit

/// Where the tests were built, or where the variable says that they lie on another machine.
inline std::filesystem::path parity_fixtures() {
  const char* const elsewhere = std::getenv("LLMPQ_TEST_DATA");
  return std::filesystem::path(elsewhere != nullptr ? elsewhere : LLMPQ_TEST_DATA) /
         "layer/fixtures";
}
/// The folders there, one or more for each family.
inline std::vector<std::string> parity_fixture_names() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(parity_fixtures()))
    if (entry.is_directory()) names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

/// What transformers computed.
struct ParityExpectation {
  explicit ParityExpectation(const std::filesystem::path& file) {
    std::ifstream in(file);
    const auto json = nlohmann::json::parse(in);
    prompts = json.at("prompts").get<std::vector<std::vector<int32_t>>>();
    greedy = json.at("greedy").get<std::vector<std::vector<int32_t>>>();
    logits_last = json.at("logits_last").get<Logits>();
    prompt_of_all = json.at("logits_all").at("prompt").get<size_t>();
    logits_all = json.at("logits_all").at("values").get<Logits>();
  }
  std::vector<std::vector<int32_t>> prompts, greedy;
  Logits logits_last, logits_all;
  size_t prompt_of_all;
};

struct ParityError {
  double error = 0;    ///< the largest of a logit; infinite if one is not finite
  double largest = 0;  ///< of the logits that are wanted
};
inline ParityError parity_error(const std::vector<float>& got, const std::vector<float>& want) {
  ParityError found;
  for (size_t i = 0; i < want.size(); ++i) {
    const double error = std::isfinite(got[i]) ? std::abs(double{got[i]} - double{want[i]})
                                               : std::numeric_limits<double>::infinity();
    found.error = std::max(found.error, error);
    found.largest = std::max(found.largest, std::abs(double{want[i]}));
  }
  return found;
}

inline void expect_parity(const std::vector<float>& got, const std::vector<float>& want,
                          const std::string& what) {
  ASSERT_EQ(got.size(), want.size());
  for (size_t i = 0; i < want.size(); ++i)
    ASSERT_TRUE(std::isfinite(got[i])) << what << ", token " << i;
  const ParityError found = parity_error(got, want);
  ASSERT_GT(found.largest, 1);
  EXPECT_LE(found.error, kParityTolerance * found.largest) << what;
}

/// So many tokens after each prompt, all prompts in one batch of unequal lengths.
inline std::vector<std::vector<int32_t>> greedy_tokens(
    Runner& run, const std::vector<std::vector<int32_t>>& prompts, size_t count) {
  std::vector<std::vector<int32_t>> chosen(prompts.size());
  Logits last;
  for (size_t p = 0; p < prompts.size(); ++p)
    last.push_back(run.prefill(static_cast<int>(p), prompts[p], 5).back());
  while (chosen[0].size() < count) {
    std::vector<Runner::Part> batch;
    for (size_t p = 0; p < prompts.size(); ++p) {
      const auto best = std::max_element(last[p].begin(), last[p].end()) - last[p].begin();
      const auto position = static_cast<int32_t>(prompts[p].size() + chosen[p].size());
      chosen[p].push_back(static_cast<int32_t>(best));
      batch.push_back({static_cast<int>(p), position, {chosen[p].back()}});
    }
    last = run.step(batch);
  }
  return chosen;
}

}  // namespace llmpq
