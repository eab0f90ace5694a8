// The plan file ("llmpq-plan-1"): written by solvers and by people, run by `generate --plan`.
#pragma once

#include <string>
#include <string_view>

#include "plan/plan.hpp"

namespace llmpq {

/// The file's text: a key a line, a stage a line.
std::string to_json(const Plan& plan);

/// Reads a plan file; `name` is what messages call it. Sizes that are missing or null stay 0 and
/// are chosen by complete_plan(); a missing mix is interleaved; a missing head format is
/// `head_format`. Computed fields may be missing; those of the whole plan (bounds, times) are
/// kept as they stand. Error(kUsage) names the key, the value found and the one
/// wanted.
Plan parse_plan(std::string_view text, std::string_view name, Format head_format = Format::kBf16);

}  // namespace llmpq
