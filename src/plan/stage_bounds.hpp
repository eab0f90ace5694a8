// Lower bounds of every stage that a plan may have: each range of layers on each group's devices,
// for one batching within the limits of a box. Bounds come from prices of memory and limits, and
// are exact where a stage was solved (solve_stage), which stays known for later boxes.
#pragma once

#include <array>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "plan/cost_floor.hpp"
#include "plan/stage_formats.hpp"

namespace llmpq {

/// A batching and what was learned about its stages so far.
struct BatchingState {
  struct Known {
    std::array<double, 2> most{};  ///< limits of x_0 and x_1 that held
    Prices prices;
    StageChoice choice;
  };
  BatchingCosts costs;
  CostFloor floor;
  std::vector<std::vector<Limits>> limit_prices;           ///< [group] a few
  std::unordered_map<uint64_t, std::vector<Known>> known;  ///< by group and range
};

class StageBounds {
 public:
  /// `pools` [group]: prices of omega, shared by all batchings. All must outlive this.
  StageBounds(const Problem& problem, std::vector<OmegaPrices>& pools);

  /// Bounds of all stages. They hold until the next call.
  void fill(BatchingState& state, const std::array<double, 2>& most, const Prices& prices);

  /// Bounds of [begin, end) for end from begin + 1 to furthest(); index by end.
  const double* row(int group, int begin) const { return &bounds_[index(group, begin, 0)]; }
  int furthest(int group, int begin) const { return furthest_[line(group, begin)]; }
  double at(int group, int begin, int end) const { return bounds_[index(group, begin, end)]; }

  /// The most layers that a device of the group can hold as one stage.
  int most_layers(int group) const;
  int most_last_layers(int group) const;  ///< as the last stage

  /// Solves a stage exactly and raises its bound to what it costs.
  const StageChoice& solve(int group, int begin, int end);
  /// Whether solve() was done within these limits and found formats that keep them.
  bool is_exact(int group, int begin, int end) const;

  StageTask task(int group, int begin, int end) const;
  BatchingState& state() const { return *state_; }

 private:
  using Known = BatchingState::Known;
  size_t line(int group, int begin) const {
    return static_cast<size_t>(group) * static_cast<size_t>(layers_) + static_cast<size_t>(begin);
  }
  size_t index(int group, int begin, int end) const {
    return line(group, begin) * static_cast<size_t>(layers_ + 1) + static_cast<size_t>(end);
  }
  size_t kind_of(int group) const;
  Limits room(int group, size_t ends) const;
  void fill_by_count(int group);
  void fill_by_prices(int group);
  void make_options(int group);
  void sum_priced(const Limits& prices, std::vector<double>& sums) const;
  void sum_least_use();
  void fill_row(int group, int begin);
  void fill_alike(int group);
  bool may_fit(int begin, int end, const Limits& left) const;
  double priced_bound(int group, int begin, int end, const Limits& left) const;
  int stand_in(int begin, int end) const;
  void raise(int group, int begin, int end, double cost);
  void sort_options();
  double cheapest_short(int begin, int end, const Limits& left, double most) const;
  void use_known();
  Limits learn_prices(int group, int begin, int end);
  const Known* find_known(int group, int begin, int end) const;

  const Problem& problem_;
  std::vector<OmegaPrices>& pools_;
  const int layers_;
  const bool alike_;  ///< the layers are: what is known of a stage holds wherever it begins
  int short_ = 0;     ///< stages of so many layers are bounded exactly
  BatchingState* state_ = nullptr;
  std::array<double, 2> most_{};
  Prices prices_;
  std::vector<double> bounds_;  ///< [group][begin][end]
  std::vector<int> furthest_;   ///< [group][begin]

  // Of the group that is being filled.
  std::vector<std::vector<double>> cost_;          ///< [layer][option]
  std::vector<std::vector<uint8_t>> cheap_first_;  ///< [layer] options
  std::vector<std::vector<Limits>> use_;           ///< [class][option]
  std::vector<std::vector<double>> sums_;          ///< [price vector][layers + 1]
  std::vector<Limits> least_;                      ///< [layers + 1] sums of the least uses
  std::array<std::vector<double>, 4> offset_;      ///< [ends][price vector]
};

}  // namespace llmpq
