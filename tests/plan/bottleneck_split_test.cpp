// The partition against brute force over all orders and cuts.
#include "plan/bottleneck_split.hpp"

#include <gtest/gtest.h>

#include "problem_case.hpp"

namespace llmpq {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// The longest decode step of a stage or link, links taken from evaluate()'s formula by a problem
/// in which nothing else counts.
double longest_step(Problem problem, Assignment assignment) {
  Batching& row = problem.batchings[static_cast<size_t>(assignment.batching)];
  row.mix = Mix::kSeparated;
  row.prefill_sum = row.prefill_max = row.decode_sum = row.rounds = 0;
  row.decode_max = 1;
  return evaluate(problem, assignment).time_s;
}

/// Tries every order of devices and every cut.
class AllSplits {
 public:
  AllSplits(Problem problem, const std::vector<int>& formats)
      : problem_(std::move(problem)), formats_(formats) {
    problem_.max_omega.reset();
    for (const ProblemGroup& group : problem_.groups)
      ranks_.insert(ranks_.end(), group.ranks.begin(), group.ranks.end());
  }
  double best() {
    go({0, {}});
    return best_;
  }

 private:
  void go(const Assignment& assignment) {
    const int begin = assignment.stages.empty() ? 0 : assignment.stages.back().end;
    if (begin == problem_.layers) {
      if (broken_rule(problem_, assignment).empty())
        best_ = std::min(best_, longest_step(problem_, assignment));
      return;
    }
    for (const int rank : ranks_) {
      const bool used = std::any_of(assignment.stages.begin(), assignment.stages.end(),
                                    [&](const AssignedStage& stage) { return stage.rank == rank; });
      for (int end = begin + 1; end <= problem_.layers && !used; ++end) {
        Assignment next = assignment;
        next.stages.push_back(
            {rank, begin, end, {formats_.begin() + begin, formats_.begin() + end}});
        go(next);
      }
    }
  }

  Problem problem_;
  std::vector<int> formats_, ranks_;
  double best_ = kInfinity;
};

TEST(BottleneckSplit, IsTheBestOfAll) {
  int infeasible = 0, stages = 0, ordered = 0;
  for (int seed = 60000; seed < 60400; ++seed) {
    ProblemMaker maker(static_cast<uint64_t>(seed));
    const Problem problem = maker.make();
    std::vector<int> formats;
    for (int i = 0; i < problem.layers; ++i)
      formats.push_back(maker.pick(0, static_cast<int>(problem.formats.size()) - 1));
    const double best = AllSplits(problem, formats).best();
    const auto split = bottleneck_split(problem, split_graph(problem), 0, formats);
    infeasible += std::isinf(best);
    ASSERT_EQ(split.has_value(), best < kInfinity) << "seed " << seed;
    if (!split) continue;
    Problem unbounded = problem;
    unbounded.max_omega.reset();
    ASSERT_EQ(broken_rule(unbounded, *split), "") << "seed " << seed;
    ASSERT_NEAR(longest_step(problem, *split), best, 1e-9 * best) << "seed " << seed;
    stages += split->stages.size() > 1;
    ordered += !problem.order.empty();
  }
  EXPECT_GT(infeasible, 20);
  EXPECT_GT(stages, 50);
  EXPECT_GT(ordered, 20);
}

TEST(BottleneckSplit, ManyDevicesStandGroupByGroup) {
  Problem problem = ProblemMaker(1).make();
  problem.layers = 60;
  problem.layer_class.clear();
  problem.layer_bytes = {{1}};
  problem.formats = {"w8"};
  problem.omega.assign(60, {0});
  problem.order.clear();
  problem.max_omega.reset();
  problem.kinds = {{"slow", {{{1, 1}}}, {{{3, 3}}}, {0, 0}, {0, 0}, {0, 0}, {0, 0}},
                   {"fast", {{{1, 1}}}, {{{1, 1}}}, {0, 0}, {0, 0}, {0, 0}, {0, 0}}};
  problem.groups.clear();
  for (int g = 0; g < 4; ++g) {
    problem.groups.push_back({"G", g % 2, {}, 1000});
    for (int i = 0; i < 10; ++i) problem.groups.back().ranks.push_back(10 * g + i);
  }
  problem.links = {std::vector(4, std::vector<double>(4, 0.5)),
                   std::vector(4, std::vector<double>(4, 0)), 0, true};
  problem.batchings.resize(1);
  problem.batchings[0].mix = Mix::kSeparated;
  problem.batchings[0].kv_bytes_per_layer = {1};
  const std::vector<int> formats(60, 0);
  const auto split = bottleneck_split(problem, split_graph(problem), 0, formats);
  ASSERT_TRUE(split);
  EXPECT_EQ(broken_rule(problem, *split), "");
  // Twenty fast ones with three layers, or slow ones with one beside them: three seconds.
  EXPECT_NEAR(longest_step(problem, *split), 3, 1e-9);
  EXPECT_EQ(split->stages[0].rank / 10 % 2, 1);
}

}  // namespace
}  // namespace llmpq
