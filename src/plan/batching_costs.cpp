#include "plan/batching_costs.hpp"

#include <algorithm>
#include <cmath>

namespace llmpq {
namespace {

const auto at = [](const auto& list, int index) -> const auto& {
  return list[static_cast<size_t>(index)];
};

/// Fills bytes and x_k from seconds.
class LoadMaker {
 public:
  explicit LoadMaker(const Batching& batching)
      : separated_(batching.mix == Mix::kSeparated),
        prefills_(batching.prefill_max),
        decodes_(batching.decode_max + batching.rounds * batching.in_flight) {}

  Load make(double prefill_s, double decode_s, double bytes) const {
    if (separated_) return {prefill_s, decode_s, {bytes, prefill_s, decode_s}};
    return {prefill_s, decode_s, {bytes, 0, prefills_ * prefill_s + decodes_ * decode_s}};
  }

 private:
  bool separated_;
  double prefills_, decodes_;
};

std::vector<std::vector<Load>> layer_loads(const Problem& problem, const Batching& batching,
                                           const ProblemKind& kind, const LoadMaker& maker) {
  std::vector<std::vector<Load>> loads(problem.layer_bytes.size());
  for (size_t c = 0; c < loads.size(); ++c)
    for (size_t f = 0; f < problem.formats.size(); ++f)
      loads[c].push_back(maker.make(at(kind.prefill_s[c][f], batching.prefill),
                                    at(kind.decode_s[c][f], batching.decode),
                                    problem.layer_bytes[c][f] + batching.kv_bytes_per_layer[c]));
  return loads;
}

std::array<Load, 4> end_loads(const Batching& batching, const ProblemKind& kind,
                              const LoadMaker& maker) {
  std::array<Load, 4> loads;
  for (size_t ends = 0; ends < loads.size(); ++ends) {
    double prefill_s = 0, decode_s = 0, bytes = batching.workspace_bytes;
    if (ends & kFirst) {
      prefill_s += at(kind.embed_prefill_s, batching.prefill);
      decode_s += at(kind.embed_decode_s, batching.decode);
      bytes += batching.first_bytes;
    }
    if (ends & kLast) {
      prefill_s += at(kind.head_prefill_s, batching.prefill);
      decode_s += at(kind.head_decode_s, batching.decode);
      bytes += batching.last_bytes;
    }
    if (ends == (kFirst | kLast)) bytes -= batching.shared_bytes;
    loads[ends] = maker.make(prefill_s, decode_s, bytes);
  }
  return loads;
}

/// Whether format a does everything at least as well as b on every layer of the class.
bool as_good(const Problem& problem, int c, const std::vector<Load>& loads, size_t a, size_t b,
             bool with_omega) {
  if (loads[a].prefill_s > loads[b].prefill_s || loads[a].decode_s > loads[b].decode_s ||
      loads[a].use[0] > loads[b].use[0])
    return false;
  if (!with_omega) return true;
  for (int layer = 0; layer < problem.layers; ++layer)
    if (problem.class_of(layer) == c && at(problem.omega, layer)[a] > at(problem.omega, layer)[b])
      return false;
  return true;
}

std::vector<uint8_t> worthy_formats(const Problem& problem, int c, const std::vector<Load>& loads,
                                    bool with_omega, bool time_counts) {
  std::vector<uint8_t> worthy;
  const auto has_kernel = [&](size_t f) {
    return !std::isnan(loads[f].prefill_s) && !std::isnan(loads[f].decode_s);
  };
  for (size_t f = 0; f < loads.size(); ++f) {
    if (!has_kernel(f)) continue;
    bool beaten = false;
    for (size_t other = 0; other < loads.size() && time_counts && !beaten; ++other)
      beaten = other != f && has_kernel(other) &&
               as_good(problem, c, loads, other, f, with_omega) &&
               (other < f || !as_good(problem, c, loads, f, other, with_omega));
    if (!beaten) worthy.push_back(static_cast<uint8_t>(f));
  }
  return worthy;
}

}  // namespace

double BatchingCosts::time(double prefill_sum, double decode_sum,
                           const std::array<double, 2>& x) const {
  return sum_prefill * prefill_sum + sum_decode * decode_sum + busiest[0] * x[0] +
         busiest[1] * x[1] +
         std::max(round_busiest * x[1], queue_prefill * prefill_sum + queue_decode * decode_sum);
}

Prices BatchingCosts::prices(double share, double omega_price) const {
  return {sum_prefill + (1 - share) * queue_prefill, sum_decode + (1 - share) * queue_decode,
          omega_price};
}

BatchingCosts batching_costs(const Problem& problem, const Batching& batching, bool with_omega) {
  BatchingCosts costs;
  costs.sum_prefill = batching.prefill_sum;
  costs.sum_decode = batching.decode_sum;
  if (batching.mix == Mix::kSeparated) {
    costs.busiest = {batching.prefill_max, batching.decode_max};
    costs.round_busiest = batching.rounds * batching.in_flight;
    costs.queue_decode = batching.rounds;
  } else {
    costs.round_busiest = 1;
    costs.queue_prefill = batching.chunk_rounds;
    costs.queue_decode = batching.rounds - batching.chunk_rounds;
  }
  const LoadMaker maker(batching);
  for (const ProblemKind& kind : problem.kinds) {
    costs.layer.push_back(layer_loads(problem, batching, kind, maker));
    costs.ends.push_back(end_loads(batching, kind, maker));
    auto& formats = costs.formats.emplace_back();
    for (int c = 0; c < problem.classes(); ++c)  // with a negative price, slower may be better
      formats.push_back(worthy_formats(problem, c, at(costs.layer.back(), c), with_omega,
                                       costs.queue_decode >= 0));
  }
  const ProblemLinks& links = problem.links;
  for (size_t from = 0; from < problem.groups.size(); ++from) {
    auto& row = costs.link.emplace_back();
    for (size_t to = 0; to < problem.groups.size(); ++to) {
      const auto seconds = [&](int64_t rows) {
        return links.latency_s[from][to] + links.s_per_byte[from][to] *
                                               links.activation_bytes_per_token *
                                               static_cast<double>(rows);
      };
      row.push_back(maker.make(seconds(at(problem.prefill_tokens, batching.prefill)),
                               seconds(at(problem.decode_sequences, batching.decode)), 0));
    }
  }
  return costs;
}

}  // namespace llmpq
