// The planning problem as plain data: everything that the optimizer sees, as tables of measured or
// predicted seconds and bytes, so that it needs no model of latency and another solver can be held
// against it. Read from and written to "llmpq-problem-1" files (problem_json).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "schedule/step.hpp"

namespace llmpq {

/// Seconds of one layer: [class][format][column]; NaN = the device has no kernel for the format.
using LayerSeconds = std::vector<std::vector<std::vector<double>>>;

struct ProblemKind {
  std::string name;
  LayerSeconds prefill_s;                               ///< a column for each chunk size
  LayerSeconds decode_s;                                ///< a column for each kind of decode step
  std::vector<double> embed_prefill_s, head_prefill_s;  ///< [chunk sizes]
  std::vector<double> embed_decode_s, head_decode_s;    ///< [decode steps]
};

/// Devices that can be exchanged for each other.
struct ProblemGroup {
  std::string name;
  int kind = 0;  ///< index
  std::vector<int> ranks;
  double memory_bytes = 0;  ///< of each device, for weights, KV cache and workspace
};

struct ProblemLinks {
  std::vector<std::vector<double>> latency_s, s_per_byte;  ///< [from group][to group]
  double activation_bytes_per_token = 0;
  bool in_sum = false;  ///< transfers count in the sums over stages, not only in the maxima
};

/// One way to cut the work into steps, and what the cut does to the time (evaluate.hpp).
struct Batching {
  Mix mix = Mix::kSeparated;
  int prefill = 0, decode = 0;  ///< columns of the tables of seconds
  double in_flight = 0;         ///< lanes
  double prefill_sum = 0, prefill_max = 0, decode_sum = 0, decode_max = 0, rounds = 0;
  double chunk_rounds = 0;
  std::vector<double> kv_bytes_per_layer;  ///< [class]
  double workspace_bytes = 0, first_bytes = 0, last_bytes = 0;
  double shared_bytes = 0;  ///< counted once where one stage is first and last
};

struct Problem {
  std::string name;
  int layers = 0;
  std::vector<std::string> formats;
  std::vector<int> layer_class;                  ///< [layers], or empty: all are alike
  std::vector<std::vector<double>> layer_bytes;  ///< [class][format] weights with scales
  std::vector<std::vector<double>> omega;        ///< [layers][format] quality loss
  double theta = 0;                              ///< seconds for a unit of omega
  std::optional<double> max_omega;               ///< bound on the sum
  std::vector<ProblemKind> kinds;
  std::vector<int64_t> prefill_tokens, decode_sequences;  ///< what the columns stand for
  std::vector<ProblemGroup> groups;
  ProblemLinks links;
  std::vector<Batching> batchings;
  std::vector<int> order;  ///< ranks in the only order allowed (any may idle); empty: any order

  int classes() const { return static_cast<int>(layer_bytes.size()); }
  int class_of(int layer) const {
    return layer_class.empty() ? 0 : layer_class[static_cast<size_t>(layer)];
  }
  /// Whether all layers cost and, where quality counts, lose the same, so that a stage is known by
  /// how many it has.
  bool layers_are_alike() const;
  /// Index of the group that has the rank; -1: none.
  int group_of(int rank) const;
  /// The group that has the rank, which must be one.
  const ProblemGroup& group_with(int rank) const {
    return groups.at(static_cast<size_t>(group_of(rank)));
  }
  int devices() const;
};

/// Error(kUsage) with a sentence that begins with `name`: a table is missing or has another size
/// than the problem says, a number is negative or not finite, an index or rank does not exist.
void check_problem(const Problem& problem, const std::string& name);

}  // namespace llmpq
