// The cheapest way to lay layers on devices where all layers are alike. Then it matters how many
// layers a device takes, not which: groups of devices are looked at one by one, each for the least
// that any number of layers costs on it, so that devices are counted however many there are. Only
// transfers know an order; each stage is charged the cheapest one that may lead to it, and the
// first of a group's stages the cheapest one from another group.
#pragma once

#include <array>
#include <vector>

#include "plan/shortest_path.hpp"

namespace llmpq {

class GroupShares {
 public:
  explicit GroupShares(const Problem& problem);

  /// Whether the problem's devices may stand in any order and its layers are alike.
  static bool suits(const Problem& problem);

  /// No way to lay all layers on the devices costs less by the bounds of stages; infinity: there is
  /// none.
  double solve(const StageBounds& bounds);
  /// Stages of the sizes that solve() found, in an order with few dear transfers.
  std::vector<PathStage> stages() const;

 private:
  using Costs = std::vector<double>;  ///< [layers + 1]

  /// What one group can do. Ends are a sum of kFirst and kLast.
  struct Group {
    int devices = 0;
    double next = 0;              ///< the cheapest transfer to a stage
    double entry = 0;             ///< what the one from another group costs more
    std::array<Costs, 3> stage;   ///< [ends] of one device that has not both ends
    std::vector<Costs> most;      ///< [devices]: on so many at most, without ends
    Costs most_and_last;          ///< on all but one at most, the last stage among them
    std::array<Costs, 4> share;   ///< [ends] of the whole group
    std::array<Costs, 4> so_far;  ///< [ends] of this group and those before it
  };
  /// Sizes of the stages of one group.
  struct Sizes {
    int first = 0, last = 0;  ///< 0: another group has that end
    std::vector<int> others;
  };

  void set_transfers(const StageBounds& bounds);
  void set_stages(const StageBounds& bounds, int g);
  void set_shares(Group& group) const;
  void join(const Group* before, Group& group) const;
  std::vector<Sizes> sizes() const;
  Sizes sizes_of(const Group& group, size_t ends, int layers) const;
  int next_group(const std::vector<Sizes>& left, int from, int last) const;
  static void extend(const Costs& from, const Costs& by, double more, Costs& to);
  int taken(const Costs& from, const Costs& by, double more, double cost, int layers) const;

  const Problem& problem_;
  const int layers_;
  std::vector<Group> groups_;
  std::vector<std::vector<double>> links_;  ///< link_costs()
  int whole_ = -1;  ///< group of the device that takes all layers, if one does
};

}  // namespace llmpq
