// All ways to give a number of layers of each class to formats within memory and limits: counts
// only, not which layer. The last two formats share an interval, so that a whole line of counts is
// one visit. Used by stage_formats for one stage, by stage_bounds for stages of every length.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <vector>

#include "plan/batching_costs.hpp"

namespace llmpq {

/// Counts [class x formats] of all but the layers of `rest`, of which `low` to `high` may have
/// format `a` and the others `b` (indices into counts).
struct CountLine {
  std::vector<int>& counts;
  size_t a = 0, b = 0;
  int rest = 0, low = 0, high = 0;
};

class FormatCounts {
 public:
  using Visit = std::function<void(const CountLine&)>;

  /// `costs` and `kind` say what formats there are and what they use.
  FormatCounts(const BatchingCosts& costs, int kind, size_t formats);

  /// Seconds for each unit of a limit: counts whose cost at these prices exceeds the best found
  /// are skipped (cheapest()), the cheapest formats are tried first.
  void set_prices(const Prices& prices, const Limits& limit_prices);

  /// Calls `visit` for each line of counts whose use is within `room`; stops going into counts
  /// whose priced cost reaches `cutoff`, which `visit` may lower.
  void search(const std::vector<int>& layers_of_class, const Limits& room, const double& cutoff,
              const Visit& visit);

  /// The least price of layers of these numbers, omega left out; infinity if none fits. `counts`
  /// becomes [class x formats].
  double cheapest(const std::vector<int>& layers_of_class, const Limits& room,
                  std::vector<int>& counts);

  /// How many lines there can be, to know beforehand what is too much.
  double lines(const std::vector<int>& layers_of_class) const;

  /// [class x formats]: the price of a layer, omega left out.
  const std::vector<double>& price() const { return price_; }
  const Limits& use(size_t index) const { return use_[index]; }

 private:
  struct Slot {
    size_t index = 0;      ///< class x formats + format
    bool is_last = false;  ///< of its class: takes the rest
    bool is_line = false;  ///< with the next one, of the last class
    Limits least_use{};    ///< of this and the later formats of the class
    double least_price = 0;
  };
  struct Partial {
    Limits use{};
    double price = 0;
  };

  void make_slots(const std::vector<int>& layers_of_class);
  void descend(size_t slot, size_t class_at, int left, const Partial& partial);
  bool may_fit(const Slot& slot, size_t class_at, int left, const Partial& partial) const;
  void close_line(size_t slot, int left, const Partial& partial);

  const BatchingCosts& costs_;
  size_t kind_, formats_;
  std::vector<Limits> use_;             ///< [class x formats]
  std::vector<double> price_, priced_;  ///< without and with the prices of limits
  Limits limit_prices_{};

  // Of one search.
  std::vector<size_t> classes_;  ///< those with layers, few layers first
  std::vector<int> layers_;      ///< of these
  std::vector<size_t> begin_;    ///< first slot of each
  std::vector<Slot> slots_;
  std::vector<Partial> later_;  ///< least of all later classes together
  std::vector<int> counts_;
  Limits room_{};
  double room_price_ = 0;
  const double* cutoff_ = nullptr;
  const Visit* visit_ = nullptr;
};

}  // namespace llmpq
