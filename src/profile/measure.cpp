#include "profile/measure.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <optional>

#include "base/file.hpp"
#include "base/log.hpp"
#include "base/timer.hpp"
#include "kernels/check.hpp"
#include "profile/layer_bench.hpp"
#include "profile/visits.hpp"

namespace llmpq {
namespace {

/// So many bytes of weights do not stay in a device's cache from one run to the next.
constexpr int64_t kCacheBytes = int64_t{128} << 20;
constexpr int64_t kMostLayers = 8;
constexpr int kStairRounds = 4;
constexpr int64_t kLeastContext = 32;
/// Vocabulary beyond which a larger table makes the embedding no slower.
constexpr int64_t kEmbeddingRows = 32768;
constexpr int64_t kHeldOutOfFirst = 15, kHeldOutOfOthers = 9, kEarlyHeldOut = 3;
constexpr uint64_t kHeldOutSeed = 20240404;
/// Shares of the time: a format of layers has 1.
constexpr double kHeadShare = 0.4, kEmbeddingShare = 0.2;
/// Of the time for a format of layers: choosing the kernels of its products.
constexpr double kProductsShare = 0.15;

/// Gives each unit its share of the time that is left.
class Schedule {
 public:
  Schedule(double budget_s, double shares)
      : end_s_(steady_seconds() + budget_s), shares_left_(shares) {}
  /// When the unit that begins now should end.
  double end_of(double share) {
    const double now = steady_seconds();
    const double end = now + std::max(0.0, end_s_ - now) * share / shares_left_;
    shares_left_ -= share;
    return end;
  }

 private:
  double end_s_, shares_left_;
};

/// What is on its way from the setup to the measurements.
struct Measuring {
  const ModelConfig& config;
  const MeasureSetup& setup;
  Backend& backend;
  Turns& turns;
  Schedule schedule;
  Measurements result;
  std::vector<double> spreads;
};

/// Notes how it went with the points.
void note(Measuring& on, const std::vector<VisitedPoint>& points) {
  for (const VisitedPoint& point : points) {
    if (point.seconds.empty())
      ++on.result.left_out;
    else if (point.seconds.size() > 1)
      on.spreads.push_back(spread_of(point));
  }
}

// ---- layers

/// A step of the grid, and of which curve's rows it is, if of one's.
struct GridStep {
  BenchStep step;
  std::optional<RowKind> curve;
};

/// What a bench of the grid's steps would be; the grid shrinks until it fits in the memory.
struct LayerPlan {
  GridLimits limits;
  LayerBench::Setup bench;
  std::vector<GridStep> steps;
};

/// A CPU takes rows of both kinds alike, unless it is slowed down, perhaps by phase.
std::vector<RowKind> curves_of(const Measuring& on) {
  if (on.backend.kind() == BackendKind::kCpu && on.setup.slowdown.empty()) return {RowKind::kAny};
  return {RowKind::kDecode, RowKind::kPrefill};
}

/// From coarse to fine: of each curve and of what attention adds. Between them comes what is held
/// out, some of it early: a model whose error nobody knows is worth little.
std::vector<GridStep> steps_of(const GridLimits& limits, const std::vector<RowKind>& curves,
                               bool with_contexts) {
  const auto contexts = context_steps(limits);
  const auto held_out = held_out_steps(limits, kHeldOutSeed + (with_contexts ? 0 : 1),
                                       with_contexts ? kHeldOutOfFirst : kHeldOutOfOthers);
  const auto early = std::min<ptrdiff_t>(kEarlyHeldOut, std::ssize(held_out));
  std::vector<GridStep> steps;
  const auto append = [&](const std::vector<BenchStep>& more) {
    for (const BenchStep& step : more) steps.push_back({step, std::nullopt});
  };
  for (size_t part = 0; part < contexts.size(); ++part) {
    for (const RowKind curve : curves) {
      const auto counts = row_counts(curve, limits);
      for (const int64_t rows : counts[part])
        if (BenchStep step = step_of_rows(curve, rows, limits); !step.ranges.empty())
          steps.push_back({std::move(step), curve});
    }
    if (with_contexts) append(contexts[part]);
    if (part == 0) append({held_out.begin(), held_out.begin() + early});
    if (part == 1) append({held_out.begin() + early, held_out.end()});
  }
  return steps;
}

int64_t bytes_of(const ModelConfig& config, const LayerBench::Setup& bench, BackendKind kind) {
  const int64_t kv = bench.kv_blocks * kv_block_bytes(config, bench.sizes);
  return bench.layers * (layer_bytes(config, bench.format, kind) + kv) +
         workspace_bytes(config, bench.sizes, false, false) + rows_bytes(bench.sizes) +
         bench.kv_blocks * kTableEntryBytes +
         scratch_bytes(kind, scratch_needs(config, bench.sizes, false));
}

LayerPlan plan_at(const Measuring& on, const MeasuredFormat& format, bool with_contexts,
                  const GridLimits& limits, int64_t layers) {
  LayerPlan plan{.limits = limits,
                 .bench = {.layers = layers,
                           .format = format.format,
                           .activation = format.activation,
                           .sizes = {.max_rows = limits.max_rows,
                                     .max_samples = limits.max_sequences,
                                     .max_model_len = limits.max_context,
                                     .kv_block_tokens = on.setup.kv_block_tokens,
                                     .kv_type = on.setup.kv_type},
                           .kv_blocks = 1,
                           .slowdown = on.setup.slowdown},
                 .steps = steps_of(limits, curves_of(on), with_contexts)};
  for (const GridStep& each : plan.steps)
    plan.bench.kv_blocks =
        std::max(plan.bench.kv_blocks, blocks_of(each.step, on.setup.kv_block_tokens));
  return plan;
}

/// Nothing if not one layer fits.
std::optional<LayerPlan> plan_layers(const Measuring& on, const MeasuredFormat& format,
                                     bool with_contexts) {
  const BackendKind kind = on.backend.kind();
  const ModelConfig one = bench_config(on.config, 1, on.config.vocab);
  const int64_t bytes = layer_bytes(one, format.format, kind);
  int64_t layers = std::clamp<int64_t>((kCacheBytes + bytes - 1) / bytes, 1,
                                       std::min(kMostLayers, on.setup.layers_per_rank));
  GridLimits limits = on.setup.limits;
  while (true) {
    LayerPlan plan = plan_at(on, format, with_contexts, limits, layers);
    if (bytes_of(one, plan.bench, kind) <= on.setup.memory_bytes) return plan;
    if (layers > 1)
      layers /= 2;
    else if (limits.max_context > kLeastContext)
      limits.max_context /= 2;
    else if (limits.max_rows > 1)
      limits.max_rows /= 2;
    else
      return std::nullopt;
    limits.max_sequences = std::min(limits.max_sequences, limits.max_rows);
  }
}

/// More points where a curve has stairs, each round nearer to them.
void look_for_stairs(LayerPlan& plan, const std::vector<RowKind>& curves, Visits& visits,
                     std::vector<VisitedPoint>& points) {
  for (int round = 0; round < kStairRounds; ++round) {
    const size_t first = points.size();
    for (const RowKind curve : curves) {
      std::vector<RowSeconds> measured;
      for (size_t i = 0; i < first; ++i)
        if (plan.steps[i].curve == curve && !points[i].seconds.empty())
          measured.push_back({shape_of(plan.steps[i].step).rows(), quietest(points[i])});
      for (const int64_t rows : rows_at_stairs(measured)) {
        plan.steps.push_back({step_of_rows(curve, rows, plan.limits), curve});
        points.push_back({static_cast<double>(rows), {}});
      }
    }
    visits.begin(points, first);
  }
}

/// The format's products run by what was the fastest from now on.
void choose_kernels(Measuring& on, Format format, LayerBench& bench, double end_s) {
  if (!on.setup.choose_products || is_16bit(format)) return;
  const double now_s = steady_seconds();
  const auto timings = bench.time_products(now_s + kProductsShare * (end_s - now_s));
  for (const ProductTiming& each : timings)
    log_debug("{} [{}, {}], {} rows: {} takes {:.1f} us", name(each.size.format), each.size.n,
              each.size.k, each.size.rows, name(each.kernel), 1e6 * each.seconds);
  const auto chosen = choose_products(timings);
  on.result.products.insert(on.result.products.end(), chosen.begin(), chosen.end());
  on.backend.choose_products(on.result.products);
}

void measure_layers(Measuring& on, const MeasuredFormat& format, bool with_contexts) {
  const double end_s = on.schedule.end_of(1);
  auto plan = plan_layers(on, format, with_contexts);
  if (!plan) {
    on.result.notes.push_back(
        fmt::format("{} is left out: a layer of {} does not fit in {}", name(format.format),
                    bytes_text(layer_bytes(on.config, format.format, on.backend.kind())),
                    bytes_text(on.setup.memory_bytes)));
    return;
  }
  LayerBench bench(bench_config(on.config, plan->bench.layers, on.config.vocab), plan->bench,
                   on.backend);
  choose_kernels(on, format.format, bench, end_s);
  std::vector<VisitedPoint> points;
  for (const GridStep& each : plan->steps)
    points.push_back({static_cast<double>(shape_of(each.step).rows()), {}});
  Visits visits({[&](size_t i) { bench.choose(plan->steps[i].step); },
                 [&](int64_t times) { return bench.run(times); }},
                end_s, on.turns);
  visits.begin(points);
  look_for_stairs(*plan, curves_of(on), visits, points);
  visits.repeat(points);
  note(on, points);
  for (size_t i = 0; i < points.size(); ++i)
    if (const BenchStep& step = plan->steps[i].step; !points[i].seconds.empty())
      on.result.layer.push_back(
          {format.format, shape_of(step), step.held_out, quietest(points[i])});
}

// ---- embedding and head

/// Counts up to `most`, every third one first, and some between them that are held out.
std::vector<CountPoint> counts_to(int64_t most, bool with_held_out) {
  std::vector<CountPoint> counts, others;
  int index = 0;
  for (const int64_t count : doubling(most))
    (index++ % 3 == 0 ? counts : others).push_back({static_cast<double>(count)});
  for (const int64_t count : {3, 13, 45})
    if (with_held_out && count < most) others.push_back({static_cast<double>(count), true});
  counts.insert(counts.end(), others.begin(), others.end());
  return counts;
}

/// Measures the counts; those for which there was no time are gone afterwards.
void visit_counts(Measuring& on, std::vector<CountPoint>& counts, const VisitedUnit& unit,
                  double end_s) {
  std::vector<VisitedPoint> points;
  for (const CountPoint& count : counts) points.push_back({count.count, {}});
  Visits visits(unit, end_s, on.turns);
  visits.begin(points);
  visits.repeat(points);
  note(on, points);
  for (size_t i = 0; i < counts.size(); ++i)
    if (!points[i].seconds.empty()) counts[i].seconds = quietest(points[i]);
  std::erase_if(counts, [](const CountPoint& count) { return count.seconds == 0; });
}

Sizes small_sizes(const MeasureSetup& setup, int64_t rows) {
  return {.max_rows = rows,
          .max_samples = rows,
          .max_model_len = kLeastContext,
          .kv_block_tokens = setup.kv_block_tokens,
          .kv_type = setup.kv_type};
}

void measure_embedding(Measuring& on) {
  const double end_s = on.schedule.end_of(kEmbeddingShare);
  const ModelConfig config = bench_config(on.config, 1, kEmbeddingRows);
  EmbeddingBench bench(config, small_sizes(on.setup, on.setup.limits.max_rows), on.setup.slowdown,
                       on.backend);
  std::vector<CountPoint> counts = counts_to(on.setup.limits.max_rows, false);
  visit_counts(on, counts,
               {[&](size_t i) { bench.choose(static_cast<int64_t>(counts[i].count)); },
                [&](int64_t times) { return bench.run(times); }},
               end_s);
  on.result.embedding = std::move(counts);
}

/// As many samples as the logits' memory allows.
void measure_head(Measuring& on, const MeasuredFormat& format) {
  const double end_s = on.schedule.end_of(kHeadShare);
  const int64_t bytes = head_bytes(on.config, format.format, on.backend.kind());
  const int64_t rest = on.setup.memory_bytes - bytes, row = 2 * on.config.vocab * 4;
  const int64_t samples = std::min(on.setup.limits.max_sequences, rest / row);
  if (samples < 1) {
    on.result.notes.push_back(fmt::format("the head in {} is left out: {} do not fit in {}",
                                          name(format.format), bytes_text(bytes + row),
                                          bytes_text(on.setup.memory_bytes)));
    return;
  }
  HeadBench bench(bench_config(on.config, 1, on.config.vocab),
                  {.format = format.format,
                   .activation = format.activation,
                   .sizes = small_sizes(on.setup, samples),
                   .sampling = on.setup.sampling,
                   .slowdown = on.setup.slowdown},
                  on.backend);
  std::vector<CountPoint> counts = counts_to(samples, true);
  visit_counts(on, counts,
               {[&](size_t i) { bench.choose(static_cast<int64_t>(counts[i].count)); },
                [&](int64_t times) { return bench.run(times); }},
               end_s);
  on.result.head.push_back({format.format, std::move(counts)});
}

Measurements measure_all(Measuring& on) {
  const Timer timer;
  on.result.prefill_apart = curves_of(on).size() > 1;
  on.backend.choose_products({});
  measure_embedding(on);
  for (const MeasuredFormat& head : on.setup.heads)
    if (!on.turns.over()) measure_head(on, head);
  for (const MeasuredFormat& format : on.setup.formats)
    if (!on.turns.over()) measure_layers(on, format, &format == &on.setup.formats.back());
  CHECK(on.turns.over() || !on.result.layer.empty(), Exit::kNoPlan,
        "no layer fits in this rank's {} to be measured", bytes_text(on.setup.memory_bytes));
  for (const double spread : on.spreads)
    on.result.spread += spread / static_cast<double>(on.spreads.size());
  on.result.spent_s = timer.seconds();
  return std::move(on.result);
}

}  // namespace

bool Turns::next() {
  if (!over_) over_ = largest_(1) > 1;
  return !over_;
}

void Turns::finish() {
  for (double most = 1; !over_ && most > 0;) {
    most = largest_(0);
    over_ = most > 1;
  }
}

void Turns::fail() {
  if (!over_) largest_(2);
  over_ = true;
}

Measurements measure(const ModelConfig& config, const MeasureSetup& setup, Backend& backend,
                     Turns& turns) {
  const double shares = static_cast<double>(setup.formats.size()) +
                        kHeadShare * static_cast<double>(setup.heads.size()) + kEmbeddingShare;
  Measuring on{config, setup, backend, turns, Schedule(setup.budget_s, shares), {}, {}};
  Measurements result;
  try {
    result = measure_all(on);
  } catch (...) {
    turns.fail();
    throw;
  }
  turns.finish();
  return result;
}

}  // namespace llmpq
