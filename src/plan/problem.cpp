#include "plan/problem.hpp"

#include <cmath>
#include <set>

#include "kernels/check.hpp"

namespace llmpq {
namespace {

constexpr int kMostLayers = 2048, kMostFormats = 64;
constexpr double kMostRanges = 3e7;  // groups x layers x layers: tables of the optimizer

/// Says where in the problem something is wrong.
class Checker {
 public:
  Checker(const Problem& problem, const std::string& name) : problem_(problem), name_(name) {}

  void check() const {
    check_sizes();
    size("layer_bytes", problem_.layer_bytes.size(), classes_, "classes of layers");
    for (const auto& row : problem_.layer_bytes) numbers("layer_bytes", row, formats_, "formats");
    size("omega", problem_.omega.size(), layers_, "layers");
    for (const auto& row : problem_.omega) numbers("omega", row, formats_, "formats");
    number("theta", problem_.theta);
    if (problem_.max_omega) number("max_omega", *problem_.max_omega);
    for (const ProblemKind& kind : problem_.kinds) check_kind(kind);
    check_groups();
    check_links();
    for (size_t i = 0; i < problem_.batchings.size(); ++i)
      check_batching(problem_.batchings[i], fmt::format("batchings[{}].", i));
    check_order();
  }

 private:
  template <typename... Args>
  void require(bool condition, fmt::format_string<Args...> sentence, Args&&... args) const {
    if (!condition)
      fail(Exit::kUsage, "{}: {}", name_, fmt::format(sentence, std::forward<Args>(args)...));
  }
  void number(const std::string& key, double value) const {
    require(std::isfinite(value) && value >= 0, "{}: want a number of at least 0, found {}", key,
            value);
  }
  void size(const std::string& key, size_t found, size_t wanted, const char* of) const {
    require(found == wanted, "{} has {} entries, want {}: one for each of the {}", key, found,
            wanted, of);
  }
  void numbers(const std::string& key, const std::vector<double>& values, size_t wanted,
               const char* of) const {
    size(key, values.size(), wanted, of);
    for (const double value : values) number(key, value);
  }
  void index(const std::string& key, int value, size_t count) const {
    require(value >= 0 && static_cast<size_t>(value) < count,
            "{}: want an index from 0 to {}, found {}", key, static_cast<int64_t>(count) - 1,
            value);
  }

  void check_sizes() const {
    require(problem_.layers >= 1 && problem_.layers <= kMostLayers,
            "layers: want a whole number from 1 to {}, found {}", kMostLayers, problem_.layers);
    require(formats_ >= 1 && formats_ <= kMostFormats, "formats: want 1 to {} names, found {}",
            kMostFormats, formats_);
    require(std::set(problem_.formats.begin(), problem_.formats.end()).size() == formats_,
            "formats has a name twice");
    require(!problem_.groups.empty(), "groups is empty: there is no device to plan for");
    require(!problem_.batchings.empty(), "batchings is empty: there is no way to cut the work");
    const auto ranges =
        static_cast<double>(problem_.groups.size()) * problem_.layers * problem_.layers;
    require(ranges <= kMostRanges, "{} groups with {} layers are more than this solver can hold",
            problem_.groups.size(), problem_.layers);
    if (problem_.layer_class.empty()) {
      require(classes_ == 1, "layer_bytes has {} classes and there is no layer_class", classes_);
      return;
    }
    size("layer_class", problem_.layer_class.size(), layers_, "layers");
    for (const int value : problem_.layer_class) index("layer_class", value, classes_);
  }

  void check_seconds(const std::string& key, const LayerSeconds& table, size_t columns,
                     const char* of) const {
    size(key, table.size(), classes_, "classes of layers");
    for (const auto& rows : table) {
      size(key, rows.size(), formats_, "formats");
      for (const auto& row : rows) {
        size(key, row.size(), columns, of);
        for (const double value : row)
          require(std::isnan(value) || (std::isfinite(value) && value >= 0),
                  "{}: want seconds of at least 0, or null, found {}", key, value);
      }
    }
  }

  void check_kind(const ProblemKind& kind) const {
    const std::string key = "kinds: " + kind.name + ": ";
    const size_t chunks = problem_.prefill_tokens.size();
    const size_t steps = problem_.decode_sequences.size();
    check_seconds(key + "prefill_s", kind.prefill_s, chunks, "prefill_tokens");
    check_seconds(key + "decode_s", kind.decode_s, steps, "decode_sequences");
    numbers(key + "embed_prefill_s", kind.embed_prefill_s, chunks, "prefill_tokens");
    numbers(key + "head_prefill_s", kind.head_prefill_s, chunks, "prefill_tokens");
    numbers(key + "embed_decode_s", kind.embed_decode_s, steps, "decode_sequences");
    numbers(key + "head_decode_s", kind.head_decode_s, steps, "decode_sequences");
  }

  void check_groups() const {
    std::set<int> ranks;
    for (const ProblemGroup& group : problem_.groups) {
      const std::string key = "groups: " + group.name + ": ";
      index(key + "kind", group.kind, problem_.kinds.size());
      number(key + "memory_bytes", group.memory_bytes);
      require(!group.ranks.empty(), "{}ranks is empty", key);
      for (const int rank : group.ranks) {
        require(rank >= 0, "{}ranks: want numbers of at least 0, found {}", key, rank);
        require(ranks.insert(rank).second, "{}rank {} stands in the groups twice", key, rank);
      }
    }
  }

  void check_links() const {
    const size_t groups = problem_.groups.size();
    for (const auto& [key, table] : {std::pair{"links.latency_s", &problem_.links.latency_s},
                                     std::pair{"links.s_per_byte", &problem_.links.s_per_byte}}) {
      size(key, table->size(), groups, "groups");
      for (const auto& row : *table) numbers(key, row, groups, "groups");
    }
    number("links.activation_bytes_per_token", problem_.links.activation_bytes_per_token);
    for (const auto* sizes : {&problem_.prefill_tokens, &problem_.decode_sequences})
      for (const int64_t value : *sizes)
        number(sizes == &problem_.prefill_tokens ? "prefill_tokens" : "decode_sequences",
               static_cast<double>(value));
  }

  void check_batching(const Batching& batching, const std::string& key) const {
    index(key + "prefill", batching.prefill, problem_.prefill_tokens.size());
    index(key + "decode", batching.decode, problem_.decode_sequences.size());
    numbers(key + "kv_bytes_per_layer", batching.kv_bytes_per_layer, classes_, "classes of layers");
    const std::pair<const char*, double> values[] = {
        {"in_flight", batching.in_flight},       {"prefill_sum", batching.prefill_sum},
        {"prefill_max", batching.prefill_max},   {"decode_sum", batching.decode_sum},
        {"decode_max", batching.decode_max},     {"rounds", batching.rounds},
        {"chunk_rounds", batching.chunk_rounds}, {"workspace_bytes", batching.workspace_bytes},
        {"first_bytes", batching.first_bytes},   {"last_bytes", batching.last_bytes},
        {"shared_bytes", batching.shared_bytes}};
    for (const auto& [name, value] : values) number(key + name, value);
  }

  void check_order() const {
    std::set<int> known, seen;
    for (const ProblemGroup& group : problem_.groups)
      known.insert(group.ranks.begin(), group.ranks.end());
    for (const int rank : problem_.order) {
      require(known.contains(rank), "order: rank {} is in no group", rank);
      require(seen.insert(rank).second, "order: rank {} stands there twice", rank);
    }
  }

  const Problem& problem_;
  const std::string& name_;
  const size_t layers_ = static_cast<size_t>(std::max(problem_.layers, 0));
  const size_t formats_ = problem_.formats.size();
  const size_t classes_ = problem_.layer_bytes.size();
};

}  // namespace

bool Problem::layers_are_alike() const {
  const bool quality_counts = theta > 0 || max_omega;
  return classes() == 1 &&
         (!quality_counts ||
          std::ranges::all_of(omega, [&](const auto& of_layer) { return of_layer == omega[0]; }));
}

int Problem::group_of(int rank) const {
  for (size_t g = 0; g < groups.size(); ++g)
    for (const int member : groups[g].ranks)
      if (member == rank) return static_cast<int>(g);
  return -1;
}

int Problem::devices() const {
  size_t count = 0;
  for (const ProblemGroup& group : groups) count += group.ranks.size();
  return static_cast<int>(count);
}

void check_problem(const Problem& problem, const std::string& name) {
  Checker(problem, name).check();
}

}  // namespace llmpq
