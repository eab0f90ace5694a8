// What the tests of the optimizer share: random small problems of every kind, and the best plan by
// trying everything, written down independently of the code under test.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "plan/evaluate.hpp"
#include "plan/problem.hpp"

namespace llmpq {

/// Draws the numbers of a problem.
class ProblemMaker {
 public:
  explicit ProblemMaker(uint64_t seed) : random_(seed) {}

  /// At most 4 layers (5 with two devices), 3 formats, 4 devices; every rule is on at times.
  Problem make() {
    Problem problem;
    problem.name = "random";
    const int devices = pick(1, 4);
    problem.layers = pick(1, devices <= 2 ? 5 : devices == 3 ? 4 : 3);
    const int formats = pick(1, 3);
    for (int f = 0; f < formats; ++f) problem.formats.push_back("f" + std::to_string(f));
    const int classes = chance(0.25) ? 2 : 1;
    if (classes == 2)
      for (int i = 0; i < problem.layers; ++i) problem.layer_class.push_back(pick(0, 1));
    for (int c = 0; c < classes; ++c) {
      auto& bytes = problem.layer_bytes.emplace_back();
      for (int f = 0; f < formats; ++f) bytes.push_back(pick(10, 50) * (formats - f));
    }
    for (int i = 0; i < problem.layers; ++i) {
      auto& omega = problem.omega.emplace_back();
      for (int f = 0; f < formats; ++f) omega.push_back(f == 0 ? 0 : real(0, 1) * f);
    }
    problem.prefill_tokens = {64, 256};
    problem.decode_sequences = {4, 8};
    make_devices(problem, devices, classes, formats);
    make_links(problem);
    for (int i = pick(1, 3); i > 0; --i) problem.batchings.push_back(make_batching(classes));
    if (chance(0.5)) problem.theta = real(0, 20);
    if (chance(0.4)) problem.max_omega = real(0, 0.7) * problem.layers;
    if (chance(0.25)) make_order(problem, devices);
    if (chance(0.2)) make_alike(problem);
    return problem;
  }

  int pick(int low, int high) { return std::uniform_int_distribution<int>(low, high)(random_); }
  double real(double low, double high) {
    return std::uniform_real_distribution<double>(low, high)(random_);
  }
  bool chance(double share) { return real(0, 1) < share; }

 private:
  /// As bits count: the same for all layers, and quarters, so that sums often are equal.
  void make_alike(Problem& problem) {
    for (double& omega : problem.omega[0]) omega = std::ceil(omega * 4) / 4;
    for (auto& omega : problem.omega) omega = problem.omega[0];
  }

  std::vector<double> seconds(size_t columns, double scale) {
    std::vector<double> values(columns);
    for (double& value : values) value = scale * real(0.2, 1);
    return values;
  }

  void make_devices(Problem& problem, int devices, int classes, int formats) {
    const int kinds = pick(1, 2);
    for (int k = 0; k < kinds; ++k) {
      ProblemKind kind;
      kind.name = "kind" + std::to_string(k);
      for (int c = 0; c < classes; ++c) {
        kind.prefill_s.emplace_back();
        kind.decode_s.emplace_back();
        for (int f = 0; f < formats; ++f) {
          kind.prefill_s.back().push_back(seconds(2, 1));
          kind.decode_s.back().push_back(seconds(2, 0.1));
          if (chance(0.08)) kind.decode_s.back().back()[0] = std::nan("");
        }
      }
      kind.embed_prefill_s = seconds(2, 0.3);
      kind.head_prefill_s = seconds(2, 0.3);
      kind.embed_decode_s = seconds(2, 0.03);
      kind.head_decode_s = seconds(2, 0.1);
      problem.kinds.push_back(kind);
    }
    for (int rank = 0; rank < devices; ++rank) {
      if (problem.groups.empty() || chance(0.4)) {
        ProblemGroup group;
        group.name = "group" + std::to_string(problem.groups.size());
        group.kind = pick(0, kinds - 1);
        group.memory_bytes = pick(30, 100) * (problem.layers + 1);
        problem.groups.push_back(group);
      }
      problem.groups.back().ranks.push_back(rank);
    }
  }

  void make_links(Problem& problem) {
    const bool free = chance(0.3);
    for (size_t from = 0; from < problem.groups.size(); ++from) {
      auto& latency = problem.links.latency_s.emplace_back();
      auto& per_byte = problem.links.s_per_byte.emplace_back();
      for (size_t to = 0; to < problem.groups.size(); ++to) {
        latency.push_back(free ? 0 : real(0, 0.05));
        per_byte.push_back(free ? 0 : real(0, 2e-5));
      }
    }
    problem.links.activation_bytes_per_token = 100;
    problem.links.in_sum = chance(0.5);
  }

  Batching make_batching(int classes) {
    Batching batching;
    batching.mix = static_cast<Mix>(pick(0, 2));
    batching.prefill = pick(0, 1);
    batching.decode = pick(0, 1);
    batching.in_flight = pick(1, 4);
    batching.prefill_sum = pick(0, 2);
    batching.prefill_max = batching.mix == Mix::kMixed ? 0 : pick(0, 20);
    batching.decode_sum = pick(0, 2);
    batching.decode_max = pick(0, 10);
    batching.rounds = pick(0, 30);
    if (batching.mix != Mix::kSeparated) batching.chunk_rounds = real(0, batching.rounds);
    for (int c = 0; c < classes; ++c) batching.kv_bytes_per_layer.push_back(pick(0, 10));
    batching.workspace_bytes = pick(0, 20);
    batching.first_bytes = pick(0, 30);
    batching.last_bytes = pick(0, 30);
    if (chance(0.3)) batching.shared_bytes = pick(0, 20);
    return batching;
  }

  void make_order(Problem& problem, int devices) {
    for (int rank = 0; rank < devices; ++rank) problem.order.push_back(rank);
    std::shuffle(problem.order.begin(), problem.order.end(), random_);
  }

  std::mt19937_64 random_;
};

/// The objective of the best plan by trying every order, split and format; infinity if none keeps
/// the rules. Formulas from src/plan/README.md, not from the code under test.
class BruteForce {
 public:
  explicit BruteForce(const Problem& problem) : problem_(problem) {
    for (size_t g = 0; g < problem.groups.size(); ++g)
      for (const int rank : problem.groups[g].ranks) ranks_.push_back({rank, static_cast<int>(g)});
  }

  double best_objective() {
    for (const Batching& batching : problem_.batchings) {
      b_ = &batching;
      used_.assign(ranks_.size(), false);
      place(0, {});
    }
    return best_;
  }

 private:
  struct Rank {
    int rank, group;
  };
  struct Sums {
    double sp = 0, sd = 0, tp = 0, td = 0, load = 0, omega = 0;
    int previous = -1, place = -1;
  };

  static size_t z(int i) { return static_cast<size_t>(i); }

  void step(Sums& sums, double p, double d, bool in_sum) const {
    if (in_sum) {
      sums.sp += p;
      sums.sd += d;
    }
    sums.tp = std::max(sums.tp, p);
    sums.td = std::max(sums.td, d);
    sums.load = std::max(sums.load,
                         b_->prefill_max * p + (b_->decode_max + b_->rounds * b_->in_flight) * d);
  }

  void finish(const Sums& s) {
    if (problem_.max_omega && s.omega > *problem_.max_omega) return;
    double time = b_->prefill_sum * s.sp + b_->decode_sum * s.sd;
    if (b_->mix == Mix::kSeparated)
      time += b_->prefill_max * s.tp + b_->decode_max * s.td +
              b_->rounds * std::max(b_->in_flight * s.td, s.sd);
    else
      time += std::max(s.load, b_->chunk_rounds * s.sp + (b_->rounds - b_->chunk_rounds) * s.sd);
    best_ = std::min(best_, time + problem_.theta * s.omega);
  }

  void place(int layer, const Sums& sums) {
    if (layer == problem_.layers) return finish(sums);
    for (size_t i = 0; i < ranks_.size(); ++i) {
      if (used_[i]) continue;
      Sums next = sums;
      if (!problem_.order.empty()) {
        const auto at = std::find(problem_.order.begin(), problem_.order.end(), ranks_[i].rank);
        next.place = static_cast<int>(at - problem_.order.begin());
        if (next.place < sums.place) continue;
      }
      const int group = ranks_[i].group;
      if (sums.previous >= 0) {
        const auto& links = problem_.links;
        const double latency = links.latency_s[z(sums.previous)][z(group)];
        const double per_token =
            links.s_per_byte[z(sums.previous)][z(group)] * links.activation_bytes_per_token;
        step(next,
             latency + per_token * static_cast<double>(problem_.prefill_tokens[z(b_->prefill)]),
             latency + per_token * static_cast<double>(problem_.decode_sequences[z(b_->decode)]),
             links.in_sum);
      }
      next.previous = group;
      used_[i] = true;
      const auto& kind = problem_.kinds[z(problem_.groups[z(group)].kind)];
      const bool first = layer == 0;
      fill(group, layer, layer, first ? kind.embed_prefill_s[z(b_->prefill)] : 0,
           first ? kind.embed_decode_s[z(b_->decode)] : 0,
           b_->workspace_bytes + (first ? b_->first_bytes : 0), next);
      used_[i] = false;
    }
  }

  /// Layers [begin, layer) are on the stage already.
  void fill(int group, int begin, int layer, double p, double d, double bytes, const Sums& sums) {
    const auto& kind = problem_.kinds[z(problem_.groups[z(group)].kind)];
    const int c = problem_.class_of(layer);
    for (size_t f = 0; f < problem_.formats.size(); ++f) {
      double lp = kind.prefill_s[z(c)][f][z(b_->prefill)];
      double ld = kind.decode_s[z(c)][f][z(b_->decode)];
      if (std::isnan(lp) || std::isnan(ld)) continue;
      lp += p;
      ld += d;
      double used = bytes + problem_.layer_bytes[z(c)][f] + b_->kv_bytes_per_layer[z(c)];
      Sums next = sums;
      next.omega += problem_.omega[z(layer)][f];
      if (layer + 1 < problem_.layers) fill(group, begin, layer + 1, lp, ld, used, next);
      if (layer + 1 == problem_.layers) {
        lp += kind.head_prefill_s[z(b_->prefill)];
        ld += kind.head_decode_s[z(b_->decode)];
        used += b_->last_bytes - (begin == 0 ? b_->shared_bytes : 0);
      }
      if (used > problem_.groups[z(group)].memory_bytes) continue;
      step(next, lp, ld, true);
      place(layer + 1, next);
    }
  }

  const Problem& problem_;
  std::vector<Rank> ranks_;
  std::vector<bool> used_;
  const Batching* b_ = nullptr;
  double best_ = std::numeric_limits<double>::infinity();
};

}  // namespace llmpq
