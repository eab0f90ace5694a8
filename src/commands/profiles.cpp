#include "commands/profiles.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "base/json.hpp"
#include "base/log.hpp"
#include "commands/emulation.hpp"
#include "kernels/check.hpp"
#include "profile/cache.hpp"
#include "profile/fit.hpp"
#include "profile/measure.hpp"
#include "profile/profile_json.hpp"
#include "profile/rank_profiles.hpp"
#include "profile/transfers.hpp"
#include "stage/stage.hpp"

namespace llmpq {
namespace {

constexpr GridLimits kCpuGrid{512, 128, 2048}, kGpuGrid{2048, 256, 4096};
/// Of a rank's memory, for measuring; and more is not worth the time that it takes to fill.
constexpr double kMemoryShare = 0.8;
constexpr int64_t kCpuMemory = int64_t{4} << 30, kGpuMemory = int64_t{16} << 30;
constexpr double kNoisy = 0.15;

/// The formats that the job may use; contexts are varied with the last one, in which attention is
/// the largest part.
std::vector<Format> layer_formats(const Job& job, Format format_16bit) {
  if (job.format.empty()) return {format_16bit, Format::kW8, Format::kW3, Format::kW4};
  const std::set<Format> wished(job.format.begin(), job.format.end());
  return {wished.begin(), wished.end()};
}

std::vector<Format> head_formats(const Job& job, Format format_16bit) {
  if (job.head_format) return {*job.head_format};
  return {format_16bit, Format::kW8};
}

GridLimits grid_limits(const Job& job, const ModelConfig& config, BackendKind kind) {
  GridLimits limits = kind == BackendKind::kCuda ? kGpuGrid : kCpuGrid;
  const int64_t chunk = job.prefill_tokens.value_or(0), batch = job.decode_batch.value_or(0);
  limits.max_rows = std::max(limits.max_rows, chunk + batch);
  limits.max_sequences = std::max(limits.max_sequences, batch);
  limits.max_context = std::min(limits.max_context, config.max_positions);
  return limits;
}

MeasureSetup measure_setup(const Mpi& mpi, const Job& job, const Input& input,
                           const Machines& machines) {
  const ModelConfig& config = input.checkpoint->config();
  const RankReport& rank = machines.report();
  const auto measured = [&](Format format) {
    return MeasuredFormat{format, activation_type(job.activation_dtype, format, *machines.backend)};
  };
  const bool is_gpu = rank.backend == BackendKind::kCuda;
  MeasureSetup setup;
  const Format half = format_16bit(config, compute_capabilities(machines.inventory));
  for (const Format format : layer_formats(job, half)) setup.formats.push_back(measured(format));
  for (const Format format : head_formats(job, half)) setup.heads.push_back(measured(format));
  setup.kv_type = input.kv_type;
  setup.layers_per_rank = (config.layers + mpi.size() - 1) / mpi.size();
  setup.limits = grid_limits(job, config, rank.backend);
  setup.sampling = job.sampling;
  setup.memory_bytes =
      std::min(static_cast<int64_t>(kMemoryShare * static_cast<double>(rank.memory_bytes)),
               is_gpu ? kGpuMemory : kCpuMemory);
  setup.budget_s = job.profile_seconds.value_or(kProfileSeconds);
  setup.slowdown = machines.mine().slowdown;
  setup.choose_products = job.gpu_kernels == GpuKernels::kMeasured;
  return setup;
}

/// Ranks whose computing slows each other's: of a GPU, or the CPU ranks of a host.
std::string device_group(const RankReport& rank) {
  return rank.backend == BackendKind::kCuda ? rank.uuid : "CPUs of " + rank.host;
}

std::string neighbours(const RankReport& mine, const Machines& machines) {
  std::vector<std::string> ranks;
  for (const RankReport& other : machines.inventory)
    if (device_group(other) == device_group(mine))
      ranks.push_back(other.backend == BackendKind::kCuda
                          ? fmt::format("{} SMs", other.sms)
                          : fmt::format("{} threads {}", other.threads, other.clock));
  std::sort(ranks.begin(), ranks.end());
  return fmt::format("{}", fmt::join(ranks, ", "));
}

std::string formats_text(const std::vector<MeasuredFormat>& formats) {
  std::string text;
  for (const MeasuredFormat& each : formats)
    text += fmt::format("{}{}:{}", text.empty() ? "" : ",", name(each.format),
                        static_cast<int>(each.activation));
  return text;
}

std::string key_text(const Job& job, const Input& input, const Machines& machines,
                     const MeasureSetup& setup) {
  const RankReport& rank = machines.report();
  const Sampling& s = job.sampling;
  const ProfileKey key{
      .device = rank.device,
      .driver = rank.backend == BackendKind::kCuda ? gpu_driver() : "isa " + job.isa,
      .build = program_build(),
      .shape = layer_shape(input.checkpoint->config()),
      .arithmetic =
          fmt::format("layers {}, heads {}, cache {}, sampling {} {} {} {} {} {}",
                      formats_text(setup.formats), formats_text(setup.heads),
                      static_cast<int>(setup.kv_type), s.temperature > 0, s.top_p<1, s.top_k> 0,
                      s.min_p > 0, s.repetition_penalty != 1, s.logprobs) +
          (setup.choose_products ? "" : ", usual kernels"),
      .grid = fmt::format("rows {}, sequences {}, context {}, layers {}, {} s",
                          setup.limits.max_rows, setup.limits.max_sequences,
                          setup.limits.max_context, setup.layers_per_rank, setup.budget_s),
      .neighbours = neighbours(rank, machines)};
  return key.text();
}

// ---- a rank's profile on its way to the others

std::string to_text(const RankProfile& rank) {
  return dump_json(nlohmann::json{{"profile", to_json({"", {rank.profile}, {}})},
                                  {"origin", rank.origin},
                                  {"spent_s", rank.spent_s},
                                  {"left_out", rank.left_out},
                                  {"spread", rank.spread},
                                  {"fitted_error", rank.fitted_error},
                                  {"notes", rank.notes}});
}

RankProfile from_text(const std::string& text) {
  const auto json = parse_json(text, "a rank's profile", Exit::kMpi);
  RankProfile rank;
  rank.profile =
      parse_profile(json.at("profile").get<std::string>(), "a rank's profile").devices.at(0);
  rank.origin = json.at("origin");
  rank.spent_s = json.at("spent_s");
  rank.left_out = json.at("left_out");
  rank.spread = json.at("spread");
  rank.fitted_error = json.at("fitted_error");
  rank.notes = json.at("notes").get<std::vector<std::string>>();
  return rank;
}

/// A profile that is not measured now.
RankProfile given(DeviceProfile profile, std::string origin) {
  RankProfile rank;
  rank.profile = std::move(profile);
  rank.origin = std::move(origin);
  return rank;
}

// ---- from a file

std::vector<RankProfile> profiles_of_file(const Mpi& mpi, const Job& job, const Input& input,
                                          const Machines& machines) {
  std::string text;
  mpi.agreed([&] {
    if (mpi.rank() == 0) text = to_json(load_profile(job.profile));
  });
  const ProfileFile file = parse_profile(mpi.broadcast(text), job.profile.string());
  std::vector<RankProfile> ranks;
  mpi.agreed([&] {
    for (const DeviceProfile& device :
         choose_profiles(file, job.profile.string(), machines.inventory,
                         layer_shape(input.checkpoint->config())))
      ranks.push_back(given(device, job.profile.string()));
  });
  return ranks;
}

// ---- measured

RankProfile measure_here(const Input& input, const Machines& machines, const MeasureSetup& setup,
                         Turns& turns) {
  const ModelConfig& config = input.checkpoint->config();
  const Measurements measured = measure(config, setup, *machines.backend, turns);
  if (turns.over()) return {};
  const RankReport& rank = machines.report();
  RankProfile result;
  result.profile = {.device = rank.device,
                    .backend = rank.backend,
                    .source = "measured",
                    .shape = layer_shape(config),
                    .model = fit_model(measured),
                    .held_out_error = {},
                    .products = measured.products};
  result.profile.held_out_error = held_out_error(result.profile.model, measured);
  result.fitted_error = fitted_error(result.profile.model, measured).value_or(0);
  result.origin = "measured";
  result.spent_s = measured.spent_s;
  result.left_out = measured.left_out;
  result.spread = measured.spread;
  result.notes = measured.notes;
  return result;
}

void tell(const RankProfile& rank, size_t index) {
  if (rank.origin != "measured") return;
  const auto& error = rank.profile.held_out_error;
  log_info(
      "rank {}: {} was measured in {:.1f} s; mean error of the latency model where it was not "
      "fitted: {}",
      index, rank.profile.device, rank.spent_s,
      error ? fmt::format("{:.1f} %", 100 * *error) : "not known");
  if (rank.left_out > 0)
    log_warning(
        "rank {}: there was no time for {} points of the grid: give more "
        "--profile-seconds",
        index, rank.left_out);
  if (rank.spread > kNoisy)
    log_warning("rank {}: other work disturbed the measurement, times vary by {:.0f} %", index,
                100 * rank.spread);
  for (const std::string& note : rank.notes) log_warning("rank {}: {}", index, note);
}

/// Rank 0 looks; by key, on every rank.
std::map<std::string, RankProfile> kept_profiles(const Mpi& mpi, const Job& job,
                                                 const std::filesystem::path& folder,
                                                 const std::vector<std::string>& keys) {
  nlohmann::json found = nlohmann::json::object();
  if (mpi.rank() == 0 && !job.measure_again)
    for (const std::string& key : std::set<std::string>(keys.begin(), keys.end()))
      if (auto profile = find_profile(folder, key))
        found[key] =
            to_text(given(std::move(*profile), "kept in " + cache_file(folder, key).string()));
  std::map<std::string, RankProfile> kept;
  const auto all = parse_json(mpi.broadcast(dump_json(found)), "kept profiles", Exit::kMpi);
  for (const auto& [key, text] : all.items()) kept[key] = from_text(text.get<std::string>());
  return kept;
}

/// Adds those of ranks whose emulated device is a profile. Collective.
void add_emulated(const Mpi& mpi, const Machines& machines,
                  const std::optional<EmulatedDevice>& emulated,
                  const std::vector<std::string>& keys, std::map<std::string, RankProfile>& kept) {
  std::string mine;
  if (emulated && emulated->profile)
    mine = to_text(given(*emulated->profile, machines.mine().profile.string()));
  const auto texts = mpi.all_gather(mine);
  for (size_t i = 0; i < keys.size(); ++i)
    if (!texts[i].empty()) kept[keys[i]] = from_text(texts[i]);
}

/// Whether this rank takes part: its own profile is missing, or that of one which it slows.
bool must_measure(const Machines& machines, const std::vector<std::string>& keys,
                  const std::map<std::string, RankProfile>& kept) {
  if (!machines.mine().profile.empty()) return false;
  for (size_t i = 0; i < keys.size(); ++i)
    if (!kept.contains(keys[i]) &&
        device_group(machines.inventory[i]) == device_group(machines.report()))
      return true;
  return false;
}

std::vector<RankProfile> profiles_of_ranks(const Mpi& mpi, const Job& job, const Input& input,
                                           const Machines& machines, Measuring measuring) {
  if (!job.profile.empty()) return profiles_of_file(mpi, job, input, machines);
  MeasureSetup setup;
  std::optional<EmulatedDevice> emulated;
  std::string mine;
  mpi.agreed([&] {
    emulated = load_emulated(machines, input.checkpoint->config());
    setup = measure_setup(mpi, job, input, machines);
    mine = key_text(job, input, machines, setup);
  });
  const std::vector<std::string> keys = mpi.all_gather(mine);
  const auto folder = job.profile_cache.empty() ? usual_cache_folder() : job.profile_cache;
  auto kept = kept_profiles(mpi, job, folder, keys);
  add_emulated(mpi, machines, emulated, keys, kept);

  std::string measured;
  const bool all_kept = std::all_of(keys.begin(), keys.end(),
                                    [&](const std::string& key) { return kept.contains(key); });
  if (!all_kept && measuring == Measuring::kNever) return {};
  if (!all_kept) {
    if (mpi.rank() == 0)
      log_info("measuring this model's layers on new devices, up to {} s", setup.budget_s);
    Turns turns([&](double value) { return mpi.max(value); });
    mpi.agreed([&] {
      if (must_measure(machines, keys, kept))
        naming_this_rank(mpi,
                         [&] { measured = to_text(measure_here(input, machines, setup, turns)); });
      else
        turns.finish();
    });
  }
  const std::vector<std::string> texts = mpi.all_gather(measured);
  std::vector<RankProfile> ranks;
  for (size_t i = 0; i < keys.size(); ++i) {
    if (!kept.contains(keys[i])) {  // ranks of equal devices share the first one's
      kept[keys[i]] = from_text(texts[i]);
      if (mpi.rank() == 0) {
        tell(kept[keys[i]], i);
        keep_profile(folder, keys[i], kept[keys[i]].profile);
      }
    }
    ranks.push_back(kept[keys[i]]);
  }
  return ranks;
}

/// Makes this rank's products take the kernels of its profile, so that ranks with equal devices
/// take the same ones. Without profiles, and if the job says so, the usual ones.
void follow_profiles(const Mpi& mpi, const Job& job, const std::vector<RankProfile>& ranks,
                     const Machines& machines) {
  std::vector<ProductChoice> lines;
  if (!ranks.empty() && job.gpu_kernels == GpuKernels::kMeasured)
    lines = ranks.at(static_cast<size_t>(mpi.rank())).profile.products;
  machines.backend->choose_products(lines);
  for (const std::string& text : describe(lines)) log_debug("GPU kernels of {}", text);
}

}  // namespace

std::vector<RankProfile> find_profiles(const Mpi& mpi, const Job& job, const Input& input,
                                       const Machines& machines, Measuring measuring) {
  auto ranks = profiles_of_ranks(mpi, job, input, machines, measuring);
  mpi.agreed([&] { follow_profiles(mpi, job, ranks, machines); });
  return ranks;
}

std::vector<std::vector<LinkModel>> profile_links(const Mpi& mpi, const Machines& machines) {
  std::string mine = "[0,0]";
  mpi.agreed([&] {
    if (machines.backend->kind() != BackendKind::kCuda) return;
    const DeviceTransfer copies = measure_copies(*machines.backend);
    mine = dump_json(nlohmann::json{1e-9 / copies.to_host_gbps, 1e-9 / copies.to_device_gbps});
  });
  std::vector<StagingCost> copies;
  for (const std::string& text : mpi.all_gather(mine))
    copies.push_back(parse_json(text, "a rank's copies", Exit::kMpi).get<StagingCost>());
  return link_models(measure_transfers(mpi), copies);
}

}  // namespace llmpq
