#include "plan/bit_transfer.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>

#include "plan/assign_formats.hpp"

namespace llmpq {
namespace {

/// One layer of `from` is worth `count` of `to`.
struct Exchange {
  int from = 0, to = 0, count = 1;
  int moved() const { return std::max(count - 1, 1); }
};

std::vector<Exchange> exchanges(const Problem& problem) {
  std::vector<Exchange> list;
  const auto& bytes = problem.layer_bytes.at(0);
  for (size_t p = 0; p < bytes.size(); ++p)
    for (size_t q = 0; q < bytes.size(); ++q) {
      if (bytes[p] < bytes[q] || bytes[q] <= 0) continue;
      const int count = static_cast<int>(std::lround(bytes[p] / bytes[q]));
      if (p == q || count > 1)
        list.push_back({static_cast<int>(p), static_cast<int>(q), p == q ? 1 : count});
    }
  return list;
}

int count_of(const AssignedStage& stage, int format) {
  return static_cast<int>(std::count(stage.formats.begin(), stage.formats.end(), format));
}

void replace(std::vector<int>& formats, int count, int old_format, int new_count, int new_format) {
  for (int i = 0; i < count; ++i)
    formats.erase(std::find(formats.begin(), formats.end(), old_format));
  formats.insert(formats.end(), static_cast<size_t>(new_count), new_format);
}

/// The stage's formats on the layers where they do least harm.
void arrange(const Problem& problem, AssignedStage& stage) {
  std::vector<int> layers(static_cast<size_t>(stage.end - stage.begin));
  std::iota(layers.begin(), layers.end(), stage.begin);
  std::vector<int> counts(problem.formats.size());
  for (const int format : stage.formats) ++counts[static_cast<size_t>(format)];
  std::vector<uint8_t> used;
  for (size_t f = 0; f < counts.size(); ++f)
    if (counts[f] > 0) used.push_back(static_cast<uint8_t>(f));
  const auto best =
      assign_formats(problem, layers, counts, used, std::vector<double>(counts.size()));
  stage.formats.assign(best.format.begin(), best.format.end());
}

/// Nothing if the stages have not the layers for it.
std::optional<Assignment> moved(const Problem& problem, const Assignment& plan, size_t giver,
                                size_t receiver, const Exchange& exchange) {
  const auto [p, q, k] = exchange;
  Assignment next = plan;
  AssignedStage& slow = next.stages[giver];
  AssignedStage& fast = next.stages[receiver];
  const bool plain = p == q;
  if (count_of(slow, q) < k || slow.end - slow.begin <= exchange.moved()) return std::nullopt;
  if (!plain && count_of(fast, p) < 1) return std::nullopt;
  replace(slow.formats, k, q, plain ? 0 : 1, p);
  replace(fast.formats, plain ? 0 : 1, p, k, q);
  int begin = 0;
  for (AssignedStage& stage : next.stages) {
    stage.begin = begin;
    begin = stage.end = begin + static_cast<int>(stage.formats.size());
  }
  for (size_t i = std::min(giver, receiver); i <= std::max(giver, receiver); ++i)
    arrange(problem, next.stages[i]);
  return next;
}

class Transfer {
 public:
  Transfer(const Problem& problem, const Assignment& start)
      : problem_(problem), exchanges_(exchanges(problem)) {
    result_.assignment = start;
    score_ = evaluate(problem, start);
  }

  Transferred run() {
    while (improve()) ++result_.moves;
    return result_;
  }

 private:
  double load(size_t stage) const {
    const auto row = static_cast<size_t>(result_.assignment.batching);
    const Batching& batching = problem_.batchings[row];
    return batching.prefill_max * score_.stages[stage].prefill_s +
           batching.decode_max * score_.stages[stage].decode_s;
  }

  bool improve() {
    std::vector<size_t> stages(score_.stages.size());
    std::iota(stages.begin(), stages.end(), size_t{0});
    std::stable_sort(stages.begin(), stages.end(),
                     [&](size_t a, size_t b) { return load(a) < load(b); });
    const size_t slowest = stages.back();
    stages.pop_back();
    return std::any_of(stages.begin(), stages.end(),
                       [&](size_t receiver) { return give(slowest, receiver); });
  }

  /// The best move between the two, if one is an improvement.
  bool give(size_t giver, size_t receiver) {
    const Assignment before = result_.assignment;
    bool better = false;
    for (const Exchange& exchange : exchanges_) {
      const auto next = moved(problem_, before, giver, receiver, exchange);
      if (!next || !broken_rule(problem_, *next).empty()) continue;
      const Score score = evaluate(problem_, *next);
      if (!(score.objective < score_.objective * (1 - kRounding))) continue;
      result_.assignment = *next;
      score_ = score;
      better = true;
    }
    return better;
  }

  static constexpr double kRounding = 1e-12;  ///< an improvement by less would go on for ever
  const Problem& problem_;
  const std::vector<Exchange> exchanges_;
  Transferred result_;
  Score score_;
};

}  // namespace

Transferred transfer_bits(const Problem& problem, const Assignment& start) {
  return Transfer(problem, start).run();
}

}  // namespace llmpq
