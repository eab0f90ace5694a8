// What the tests of plans share: a model to plan for, and the sentence of an error.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "plan/memory_model.hpp"
#include "plan_case.hpp"

namespace llmpq {

/// What the call throws; "" and a failed test if it throws nothing or has another code.
inline std::string error_of(Exit code, const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    EXPECT_EQ(static_cast<int>(error.code()), static_cast<int>(code)) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "no error";
  return "";
}

#define EXPECT_HAS(text, part) \
  EXPECT_NE(std::string(text).find(part), std::string::npos) << text << "\nlacks: " << (part)

/// "3,3,2": layers of each stage.
inline std::string layer_counts(const Plan& plan) {
  std::string text;
  for (const StagePlan& stage : plan.pipelines.at(0).stages)
    text += (text.empty() ? "" : ",") + std::to_string(stage.layer_end - stage.layer_begin);
  return text;
}

inline void expect_fits(const PlanRequest& request, const Plan& plan) {
  for (const StageMemory& stage : predict_memory(request, plan))
    EXPECT_TRUE(stage.fits()) << "rank " << stage.rank << ": " << stage.total() << " of "
                              << stage.budget;
}

}  // namespace llmpq
