// What parity tests share: the content of an expected.json, and when logits are the same.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace llmpq {

using Logits = std::vector<std::vector<float>>;
inline constexpr double kParityTolerance = 1e-4;  ///< of the largest logit

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

inline void expect_parity(const std::vector<float>& got, const std::vector<float>& want,
                          const std::string& what) {
  ASSERT_EQ(got.size(), want.size());
  double error = 0, largest = 0;
  for (size_t i = 0; i < want.size(); ++i) {
    ASSERT_TRUE(std::isfinite(got[i])) << what << ", token " << i;
    error = std::max(error, std::abs(double{got[i]} - double{want[i]}));
    largest = std::max(largest, std::abs(double{want[i]}));
  }
  ASSERT_GT(largest, 1);
  EXPECT_LE(error, kParityTolerance * largest) << what;
}

}  // namespace llmpq
