// What a job's rows are, and what they depend on: the head of its journal, which its result takes
// over.
#pragma once

#include <cstdint>
#include <string>

#include "input/prompts.hpp"

namespace llmpq {

/// What a job is, from its first start to its end, however often it is killed.
struct JournalHead {
  RowRangeOfFile rows;      ///< of the prompts file
  int32_t num_samples = 1;  ///< output rows of a prompt
  int32_t logprobs = 0;     ///< 0, 1, or K: as the job's option
  std::string job;          ///< JSON: the options
  std::string profile;      ///< JSON
  std::string versions;     ///< JSON
  std::string fingerprint;  ///< JSON object: what resume compares, one key for each thing
  int64_t outputs() const { return (rows.end - rows.begin) * num_samples; }
};

}  // namespace llmpq
