#include "plan/make_problem.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <map>
#include <utility>

#include "kernels/check.hpp"
#include "layer/memory.hpp"
#include "layer/weights.hpp"
#include "plan/batch_choices.hpp"
#include "plan/memory_model.hpp"
#include "plan/problem_seconds.hpp"
#include "profile/sensitivity.hpp"

namespace llmpq {
namespace {

using Curves = std::map<Format, Curve> LatencyModel::*;

bool all_have(const PlanningData& data, Curves curves, Format format) {
  return std::all_of(data.profiles.begin(), data.profiles.end(), [&](const DeviceProfile& profile) {
    return (profile.model.*curves).contains(format);
  });
}

bool any_has(const PlanningData& data, Format format) {
  return std::any_of(data.profiles.begin(), data.profiles.end(), [&](const DeviceProfile& profile) {
    return profile.model.layer.contains(format);
  });
}

/// Without a wish: one 16-bit format if all devices share one, the model's own before f16.
std::vector<Format> usual_formats(const PlanRequest& request, const PlanningData& data) {
  const Format native = format_16bit(request.config);
  const bool native_everywhere = all_have(data, &LatencyModel::layer, native);
  std::vector<Format> formats{Format::kW8, Format::kW4, Format::kW3};
  if (!native_everywhere) formats.push_back(Format::kF16);
  if (native_everywhere || !all_have(data, &LatencyModel::layer, Format::kF16))
    formats.push_back(native);
  return formats;
}

/// In the order of kFormats.
std::vector<Format> choose_formats(const PlanRequest& request, const PlanningData& data) {
  const auto& wish = request.wishes.formats;
  const std::vector<Format> wanted = wish.empty() ? usual_formats(request, data) : wish;
  std::vector<Format> formats;
  for (const FormatInfo& row : kFormats) {
    if (std::find(wanted.begin(), wanted.end(), row.format) == wanted.end()) continue;
    CHECK(any_has(data, row.format) || wish.empty(), Exit::kUsage,
          "format {}: no device has times for it", row.name);
    if (any_has(data, row.format)) formats.push_back(row.format);
  }
  CHECK(!formats.empty(), Exit::kUsage, "no device has times for any weight format");
  return formats;
}

Format choose_head(const PlanRequest& request, const PlanningData& data) {
  std::vector<Format> candidates{format_16bit(request.config), Format::kF16};
  if (request.wishes.head_format) candidates = {*request.wishes.head_format};
  for (Format format : candidates)
    if (all_have(data, &LatencyModel::head, format)) return format;
  fail(Exit::kUsage, "head-format: not every device has times for a head in {}",
       name(candidates.front()));
}

/// The classes of layers, and [layers] which class each is of.
std::vector<int> classify_layers(const PlanRequest& request, std::vector<LayerClass>& classes) {
  const ModelConfig& config = request.config;
  const auto& wish = request.wishes.formats;
  CHECK(wish.size() <= 1 || std::ssize(wish) == config.layers, Exit::kUsage,
        "format names {} formats, the model has {} layers; give one for all or one for each",
        wish.size(), config.layers);
  std::vector<int> of_layer;
  for (size_t i = 0; i < static_cast<size_t>(config.layers); ++i) {
    LayerClass layer{i < config.window.size() ? config.window[i] : 0, std::nullopt};
    if (wish.size() > 1) layer.only = wish[i];
    auto at = std::find(classes.begin(), classes.end(), layer);
    if (at == classes.end()) at = classes.insert(at, layer);
    of_layer.push_back(static_cast<int>(at - classes.begin()));
  }
  return of_layer;
}

TableSetup table_setup(const PlanRequest& request, const PlanningData& data, Problem& problem) {
  TableSetup setup;
  setup.work = work_of(data.lengths, request.kv_block_tokens);
  // Of sampled lengths the longest may not have been seen.
  setup.work.most_blocks =
      std::max(setup.work.most_blocks, static_cast<double>(least_kv_blocks(request)));
  setup.formats = choose_formats(request, data);
  setup.head = choose_head(request, data);
  const auto of_layer = classify_layers(request, setup.classes);
  if (setup.classes.size() > 1) problem.layer_class = of_layer;
  for (const LayerClass& layer : setup.classes)
    setup.keys.push_back(keys_of(data.lengths, layer.window));
  return setup;
}

/// The problem has one number for a layer: that of the kind of backend which takes most.
double largest_layer(const PlanRequest& request, Format format) {
  int64_t most = 0;
  for (const RankMemory& rank : request.ranks)
    most = std::max(most, layer_bytes(request.config, format, rank.backend));
  return static_cast<double>(most);
}

void fill_weights(const PlanRequest& request, const PlanningData& data, const TableSetup& setup,
                  Problem& problem) {
  problem.layers = static_cast<int>(request.config.layers);
  std::vector<double> bytes;
  for (Format format : setup.formats) {
    problem.formats.emplace_back(name(format));
    bytes.push_back(largest_layer(request, format));
  }
  problem.layer_bytes.assign(setup.classes.size(), bytes);
  const std::vector<ByFormat> omega =
      data.omega.empty() ? random_omega(request.config.layers, data.seed) : data.omega;
  CHECK(std::ssize(omega) == request.config.layers, Exit::kUsage,
        "the indicator has {} layers, the model {}", omega.size(), request.config.layers);
  for (const ByFormat& of_layer : omega) {
    auto& row = problem.omega.emplace_back();
    for (Format format : setup.formats) row.push_back(of_layer[static_cast<size_t>(format)]);
  }
  problem.theta = data.theta;
  problem.max_omega = data.max_omega;
}

void fill_devices(const PlanRequest& request, const PlanningData& data, Problem& problem) {
  std::vector<DeviceKey> keys;
  for (size_t rank = 0; rank < request.ranks.size(); ++rank)
    keys.push_back({data.profile_of[rank], budget_of(request.ranks[rank])});
  const auto groups = device_groups(keys, data.link);
  ProblemLinks& links = problem.links;
  for (const auto& ranks : groups) {
    const auto first = static_cast<size_t>(ranks.front());
    problem.groups.push_back({.name = request.ranks[first].device,
                              .kind = static_cast<int>(keys[first].profile),
                              .ranks = ranks,
                              .memory_bytes = static_cast<double>(keys[first].memory_bytes)});
    auto& latency = links.latency_s.emplace_back();
    auto& per_byte = links.s_per_byte.emplace_back();
    for (const auto& to : groups) {
      const bool same = &to == &ranks;
      const LinkModel link = same && ranks.size() == 1
                                 ? LinkModel{}
                                 : data.link(ranks.front(), same ? ranks[1] : to.front());
      latency.push_back(link.latency_s);
      per_byte.push_back(link.s_per_byte);
    }
  }
  links.activation_bytes_per_token = static_cast<double>(activation_row_bytes(request.config));
  links.in_sum = true;
}

Sizes sizes_of(const PlanRequest& request, const MicroBatches& batches) {
  Plan plan;
  plan.mix = batches.mix;
  plan.prefill_tokens = batches.prefill_tokens;
  plan.decode_batch = batches.decode_batch;
  plan.lanes = batches.lanes;
  plan.kv_block_tokens = static_cast<int32_t>(request.kv_block_tokens);
  plan.pipelines.resize(1);
  return stage_sizes(plan, request.max_model_len, request.kv_type);
}

/// By the formulas that stages allocate by, for the kind of backend that takes most. Three layers
/// make a first stage, a last one, and one between.
void fill_bytes(const PlanRequest& request, const TableSetup& setup, BatchChoice& choice) {
  const Sizes sizes = sizes_of(request, choice.sizes);
  const std::vector<Format> formats(3, setup.formats.front());
  const MemoryModel model(request, formats, setup.head, sizes);
  Batching& row = choice.row;
  std::array<bool, 2> seen{};
  for (size_t rank = 0; rank < request.ranks.size(); ++rank) {
    if (std::exchange(seen[static_cast<size_t>(request.ranks[rank].backend)], true)) continue;
    const StageMemory middle = model.stage(static_cast<int>(rank), 1, 2, 0);
    const StageMemory last = model.stage(static_cast<int>(rank), 2, 3, 0);
    const int64_t more = std::max<int64_t>(0, last.workspace - middle.workspace);
    row.workspace_bytes = std::max(row.workspace_bytes, static_cast<double>(middle.workspace));
    row.last_bytes = std::max(row.last_bytes, static_cast<double>(last.head + more));
    const StageMemory first = model.stage(static_cast<int>(rank), 0, 1, 0);
    row.first_bytes = std::max(row.first_bytes, static_cast<double>(first.embedding));
  }
  row.workspace_bytes += choice.kv_blocks * static_cast<double>(kTableEntryBytes);
  const auto block = static_cast<double>(kv_block_bytes(request.config, sizes));
  row.kv_bytes_per_layer.assign(setup.classes.size(), choice.kv_blocks * block);
}

/// Bytes that are missing if all memory were one; below 0: spare.
double shortage(const Problem& problem, const Batching& row) {
  const auto& bytes = problem.layer_bytes[0];
  const double layer = *std::min_element(bytes.begin(), bytes.end()) + row.kv_bytes_per_layer[0];
  double need = problem.layers * layer + row.first_bytes + row.last_bytes;
  for (const ProblemGroup& group : problem.groups)
    need -= static_cast<double>(group.ranks.size()) *
            std::max(0.0, group.memory_bytes - row.workspace_bytes);
  return need;
}

void keep(const BatchChoice& choice, MadeProblem& made) {
  constexpr double kMostBlocks = std::numeric_limits<int32_t>::max();
  made.problem.batchings.push_back(choice.row);
  made.sizes.push_back(choice.sizes);
  made.kv_blocks.push_back(static_cast<int32_t>(std::min(choice.kv_blocks, kMostBlocks)));
}

void fill_batchings(const PlanRequest& request, const TableSetup& setup, BatchChoices& choices,
                    MadeProblem& made) {
  const BatchChoice* smallest = nullptr;
  for (BatchChoice& choice : choices.list) {
    fill_bytes(request, setup, choice);
    const double missing = shortage(made.problem, choice.row);
    if (missing <= 0) keep(choice, made);
    if (smallest == nullptr || missing < shortage(made.problem, smallest->row)) smallest = &choice;
  }
  CHECK(smallest, Exit::kUsage,
        "the wishes for prefill-tokens, decode-batch, lanes and mix leave "
        "no way to cut the work");
  // With it the optimizer can say that nothing fits.
  if (made.problem.batchings.empty()) keep(*smallest, made);
}

}  // namespace

int64_t activation_row_bytes(const ModelConfig& config) {
  constexpr int64_t kActivationBytes = 4;  // f32 between stages
  return config.hidden * kActivationBytes;
}

MadeProblem make_problem(const PlanRequest& request, const PlanningData& data) {
  const size_t ranks = request.ranks.size();
  CHECK(ranks > 0 && ranks == data.profile_of.size(), Exit::kUsage,
        "there are {} ranks, and profiles for {}", ranks, data.profile_of.size());
  MadeProblem made;
  Problem& problem = made.problem;
  problem.name = data.name;
  const TableSetup setup = table_setup(request, data, problem);
  made.head_format = setup.head;
  fill_weights(request, data, setup, problem);
  fill_devices(request, data, problem);
  BatchChoices choices = batch_choices(setup.work, request.wishes, static_cast<int>(ranks));
  problem.prefill_tokens = choices.prefill_tokens;
  for (const DecodeColumn& column : choices.decode)
    problem.decode_sequences.push_back(column.decode_batch);
  for (const DeviceProfile& profile : data.profiles)
    problem.kinds.push_back(table_of(profile, setup, choices));
  set_waiting(choices, static_cast<int>(ranks), [&](int prefill, int decode) {
    return average_seconds(problem.kinds, data.profile_of, prefill, decode);
  });
  fill_batchings(request, setup, choices, made);
  check_problem(problem, problem.name);
  return made;
}

}  // namespace llmpq
