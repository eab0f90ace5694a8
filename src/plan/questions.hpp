// Questions turned around: not what a plan for these wishes looks like, but how far a wish can go
// until nothing fits any more. By memory alone: times do not matter. Pure.
#pragma once

#include <optional>
#include <string>

#include "plan/solve.hpp"

namespace llmpq {

struct Answer {
  std::string sentence;
  std::string key;              ///< of the JSON: "decode_batch", "context_tokens", "bits"
  std::optional<double> value;  ///< nothing: not even the least fits
  std::optional<Plan> plan;     ///< with it
};

/// The largest decode batch, all other wishes kept; at most as many sequences as the work has.
Answer largest_batch(const PlanRequest& request, Strategy strategy);
/// The longest context of one sequence, in whole KV blocks, up to the model's own; the decode batch
/// and other open sizes may fall to one.
Answer longest_context(const PlanRequest& request, Strategy strategy);
/// The most bits for all layers that fit: what has to be given up at least. Where the request names
/// formats, these are all that there are.
Answer fewest_cuts(const PlanRequest& request, Strategy strategy);

/// {key: value or null, "sentence"}
std::string to_json(const Answer& answer);

}  // namespace llmpq
