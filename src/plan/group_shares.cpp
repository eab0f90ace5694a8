#include "plan/group_shares.hpp"

#include <algorithm>
#include <limits>
#include <tuple>

#include "plan/link_costs.hpp"

namespace llmpq {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

}  // namespace

GroupShares::GroupShares(const Problem& problem)
    : problem_(problem), layers_(problem.layers), groups_(problem.groups.size()) {
  for (size_t g = 0; g < groups_.size(); ++g)
    groups_[g].devices = std::min(static_cast<int>(problem.groups[g].ranks.size()), layers_);
}

bool GroupShares::suits(const Problem& problem) {
  return problem.order.empty() && problem.layers_are_alike();
}

/// to[l + n] becomes from[l] + by[n] + more where that is less.
void GroupShares::extend(const Costs& from, const Costs& by, double more, Costs& to) {
  const size_t size = to.size();
  for (size_t n = 0; n < by.size(); ++n) {
    const double cost = by[n] + more;
    if (cost == kInfinity) continue;
    for (size_t l = n; l < size; ++l) to[l] = std::min(to[l], from[l - n] + cost);
  }
}

/// The n by which extend() came to `cost` at so many layers.
int GroupShares::taken(const Costs& from, const Costs& by, double more, double cost,
                       int layers) const {
  for (int n = 0; n < std::min(layers + 1, static_cast<int>(by.size())); ++n)
    if (from[static_cast<size_t>(layers - n)] + (by[static_cast<size_t>(n)] + more) == cost)
      return n;
  return -1;
}

void GroupShares::set_transfers(const StageBounds& bounds) {
  links_ = link_costs(problem_, bounds);
  for (size_t g = 0; g < groups_.size(); ++g) {
    double outside = kInfinity;
    for (size_t from = 0; from < groups_.size(); ++from)
      if (from != g) outside = std::min(outside, links_[from + 1][g]);
    groups_[g].next = std::min(outside, links_[g + 1][g]);
    groups_[g].entry = outside < kInfinity ? outside - groups_[g].next : kInfinity;
  }
}

void GroupShares::set_stages(const StageBounds& bounds, int g) {
  for (size_t ends = 0; ends < 3; ++ends) {
    Costs& stage = groups_[static_cast<size_t>(g)].stage[ends];
    stage.assign(1, kInfinity);
    for (int n = 1; n < layers_; ++n) {
      const int begin = ends == kFirst ? 0 : ends == kLast ? layers_ - n : 1;
      if (begin + n > layers_ - (ends == kLast ? 0 : 1) || bounds.furthest(g, begin) < begin + n)
        break;
      stage.push_back(bounds.at(g, begin, begin + n));
    }
  }
}

void GroupShares::set_shares(Group& group) const {
  const Costs none(static_cast<size_t>(layers_ + 1), kInfinity);
  const auto devices = static_cast<size_t>(group.devices);
  group.most.assign(devices + 1, none);
  group.most[0][0] = 0;
  for (size_t i = 1; i <= devices; ++i) {
    group.most[i] = group.most[i - 1];
    extend(group.most[i - 1], group.stage[0], group.next, group.most[i]);
  }
  group.share.fill(none);
  group.most_and_last = none;
  for (size_t l = 1; l < none.size(); ++l) group.share[0][l] = group.most[devices][l] + group.entry;
  group.share[0][0] = 0;
  extend(group.most[devices - 1], group.stage[kFirst], 0, group.share[kFirst]);
  extend(group.most[devices - 1], group.stage[kLast], group.next + group.entry, group.share[kLast]);
  if (devices < 2) return;
  extend(group.most[devices - 2], group.stage[kLast], group.next, group.most_and_last);
  extend(group.most_and_last, group.stage[kFirst], 0, group.share[kFirst | kLast]);
}

void GroupShares::join(const Group* before, Group& group) const {
  if (!before) {
    group.so_far = group.share;
    return;
  }
  group.so_far.fill(Costs(static_cast<size_t>(layers_ + 1), kInfinity));
  for (size_t ends = 0; ends < 4; ++ends)
    for (size_t own = 0; own < 4; ++own)
      if ((ends & own) == own)
        extend(before->so_far[ends - own], group.share[own], 0, group.so_far[ends]);
}

double GroupShares::solve(const StageBounds& bounds) {
  set_transfers(bounds);
  double whole = kInfinity;
  whole_ = -1;
  for (int g = 0; g < static_cast<int>(groups_.size()); ++g) {
    set_stages(bounds, g);
    set_shares(groups_[static_cast<size_t>(g)]);
    join(g > 0 ? &groups_[static_cast<size_t>(g - 1)] : nullptr, groups_[static_cast<size_t>(g)]);
    if (bounds.furthest(g, 0) == layers_ && bounds.at(g, 0, layers_) < whole) {
      whole = bounds.at(g, 0, layers_);
      whole_ = g;
    }
  }
  const double split = groups_.back().so_far[kFirst | kLast].back();
  if (split <= whole) whole_ = -1;
  return std::min(split, whole);
}

GroupShares::Sizes GroupShares::sizes_of(const Group& group, size_t ends, int layers) const {
  Sizes sizes;
  if (ends == 0 && layers == 0) return sizes;
  const auto at = [&](const Costs& costs) { return costs[static_cast<size_t>(layers)]; };
  auto devices = static_cast<size_t>(group.devices);
  if (ends == (kFirst | kLast)) {
    sizes.first = taken(group.most_and_last, group.stage[kFirst], 0, at(group.share[ends]), layers);
    layers -= sizes.first;
    devices -= 2;
    sizes.last =
        taken(group.most[devices], group.stage[kLast], group.next, at(group.most_and_last), layers);
    layers -= sizes.last;
  } else if (ends != 0) {
    const double more = ends == kLast ? group.next + group.entry : 0;
    int& size = ends == kLast ? sizes.last : sizes.first;
    size = taken(group.most[--devices], group.stage[ends], more, at(group.share[ends]), layers);
    layers -= size;
  }
  for (; layers > 0; --devices) {
    if (at(group.most[devices]) == at(group.most[devices - 1])) continue;
    sizes.others.push_back(taken(group.most[devices - 1], group.stage[0], group.next,
                                 at(group.most[devices]), layers));
    layers -= sizes.others.back();
  }
  return sizes;
}

std::vector<GroupShares::Sizes> GroupShares::sizes() const {
  std::vector<Sizes> sizes(groups_.size());
  size_t ends = kFirst | kLast;
  int layers = layers_;
  for (size_t g = groups_.size(); g-- > 0;) {
    const Group& group = groups_[g];
    const double cost = group.so_far[ends][static_cast<size_t>(layers)];
    size_t own = ends;
    int taken_layers = layers;
    for (size_t some = 0; some < 4 && g > 0; ++some) {
      if ((ends & some) != some) continue;
      own = some;
      taken_layers = taken(groups_[g - 1].so_far[ends - some], group.share[some], 0, cost, layers);
      if (taken_layers >= 0) break;
    }
    sizes[g] = sizes_of(group, own, taken_layers);
    ends -= own;
    layers -= taken_layers;
  }
  return sizes;
}

/// The group with stages left to which the transfer is cheapest. Of equal ones: that of the last
/// stage is kept for the end, and those whose own links are dear should alternate with others.
int GroupShares::next_group(const std::vector<Sizes>& left, int from, int last) const {
  int best = -1;
  const auto key = [&](int g) {
    const auto to = static_cast<size_t>(g);
    return std::tuple(links_[static_cast<size_t>(from + 1)][to], g == last, -links_[to + 1][to],
                      -static_cast<int>(left[to].others.size()));
  };
  for (int g = 0; g < static_cast<int>(left.size()); ++g)
    if (!left[static_cast<size_t>(g)].others.empty() && (best < 0 || key(g) < key(best))) best = g;
  return best;
}

std::vector<PathStage> GroupShares::stages() const {
  if (whole_ >= 0) return {{{0, 0, whole_, -1}, 0, layers_}};
  std::vector<Sizes> left = sizes();
  std::vector<PathStage> stages;
  int group = -1, end = 0;
  const auto add = [&](int to, int layers) {
    stages.push_back({{0, 0, to, group}, end, end + layers});
    group = to;
    end += layers;
  };
  int last = -1;
  for (int g = 0; g < static_cast<int>(left.size()); ++g) {
    if (const int first = left[static_cast<size_t>(g)].first; first > 0) add(g, first);
    if (left[static_cast<size_t>(g)].last > 0) last = g;
  }
  for (int to = next_group(left, group, last); to >= 0; to = next_group(left, group, last)) {
    auto& others = left[static_cast<size_t>(to)].others;
    add(to, others.back());
    others.pop_back();
  }
  add(last, left[static_cast<size_t>(last)].last);
  return stages;
}

}  // namespace llmpq
