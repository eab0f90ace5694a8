// What makes the rows of one job: two jobs with the same fingerprint give the same rows (but for
// the plan's formats). Stored in the journal and the output; --resume compares it. Used by
// output_job.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "commands/prepare.hpp"

namespace llmpq {

/// One key for each thing: hashes of model, tokenizer and prompts, and the options on which tokens
/// depend. Rank 0's, which has the prompts.
nlohmann::json fingerprint(const Job& job, const Input& input);

/// What makes `job` another one than that whose fingerprint is given, in words: its options, and
/// the model and the prompts as far as they are still there. `rows`: those of the other one.
/// Nothing is loaded but headers and prompts. Empty if `before` is.
std::vector<std::string> changes_since(const std::string& before, RowRangeOfFile rows,
                                       const Job& job);

}  // namespace llmpq
