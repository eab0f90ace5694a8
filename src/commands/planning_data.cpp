#include "commands/planning_data.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/file.hpp"
#include "base/log.hpp"
#include "commands/profile_report.hpp"
#include "commands/quality_wish.hpp"
#include "kernels/check.hpp"
#include "layer/step_work.hpp"
#include "profile/emulate.hpp"
#include "profile/profile_json.hpp"
#include "profile/rank_profiles.hpp"

namespace llmpq {
namespace {

constexpr double kShortProfileSeconds = 2;
constexpr double kShare = 0.05;  ///< of a run that measuring may take
// What devices reached with this program, rather too much: a run that is guessed too short is
// planned by memory alone, one that is guessed too long pays for a profile that it does not need.
constexpr double kFlopsOfThread = 2e11, kFlopsOfGpu = 5e13;

/// Multiplications and additions of all matrix products for one token.
double operations_of_token(const ModelConfig& config) {
  const StepShape token{
      .prefill_rows = 1, .prefill_keys = 0, .decode_rows = 0, .decode_keys = 0, .samples = 1};
  return static_cast<double>(config.layers) * layer_work(config, {}, token).all_operations() +
         head_work(config, {}, token).all_operations();
}

bool emulates_speed(const Job& job) {
  return std::any_of(job.emulate.begin(), job.emulate.end(),
                     [](const std::string& spec) { return !parse_emulation(spec).clock.empty(); });
}

bool asks_about_speed(const Job& job) {
  return !job.save_problem.empty() || !job.save_profile.empty() || emulates_speed(job) ||
         is_baseline(job.strategy) || job.explain || job.sweep != "none" || job.theta ||
         job.average_bits || !job.max_perplexity_increase.empty();
}

std::string seconds_text(double seconds) { return fmt::format("{:.2g}", seconds); }

struct Effort {
  Measuring measuring = Measuring::kAllowed;
  double run_s = 0;  ///< guessed
};

/// Of the job's formats, or of all formats, among which they are; and so for the head. A run that
/// goes on asks for those that it began with, which may have been free then. Empty if not all
/// ranks' are kept.
std::vector<RankProfile> known_profiles(const Mpi& mpi, const Job& job, double seconds,
                                        const Input& input, const Machines& machines) {
  for (const bool all_layers : {false, true})
    for (const bool all_heads : {false, true}) {
      if ((all_layers && job.format.empty()) || (all_heads && !job.head_format)) continue;
      Job wider = job;
      wider.profile_seconds = seconds;
      if (all_layers) wider.format.clear();
      if (all_heads) wider.head_format.reset();
      auto kept = find_profiles(mpi, wider, input, machines, Measuring::kNever);
      if (!kept.empty()) return kept;
    }
  return {};
}

/// Kept ones of the long way go first; a run that is worth the long way does not take the others.
std::vector<RankProfile> profiles_for(const Mpi& mpi, const Job& job, const Input& input,
                                      const Machines& machines, const Effort& effort) {
  if (!job.profile.empty()) return find_profiles(mpi, job, input, machines);
  const double budget_s =
      effort.measuring == Measuring::kAllowed ? profile_budget(job, effort.run_s) : 0;
  const double long_s = job.profile_seconds.value_or(kProfileSeconds);
  auto kept = known_profiles(mpi, job, long_s, input, machines);
  if (kept.empty() && budget_s < long_s)
    kept = known_profiles(mpi, job, kShortProfileSeconds, input, machines);
  if (!kept.empty() || budget_s == 0) return kept;
  Job timed = job;
  timed.profile_seconds = budget_s;
  return find_profiles(mpi, timed, input, machines);
}

/// Ranks that share a profile have the same entry.
void add_profiles(const std::vector<RankProfile>& ranks, PlanningData& data) {
  std::vector<std::string> texts;
  for (const RankProfile& rank : ranks) {
    const std::string text = to_json(ProfileFile{"", {rank.profile}, {}});
    const auto at = std::find(texts.begin(), texts.end(), text);
    data.profile_of.push_back(static_cast<size_t>(at - texts.begin()));
    if (at != texts.end()) continue;
    texts.push_back(text);
    data.profiles.push_back(rank.profile);
  }
}

}  // namespace

std::vector<SequenceLength> sequence_lengths(const Job& job, const WorkloadLengths& lengths) {
  std::vector<SequenceLength> sequences;
  const auto seen = std::ssize(lengths.seen);
  const int64_t all = std::max<int64_t>(lengths.rows, seen);
  for (int64_t i = 0; i < seen; ++i) {
    const RowLength& row = lengths.seen[static_cast<size_t>(i)];
    const int64_t usual = job.expected_output_tokens.value_or((row.max_tokens + 1) / 2);
    SequenceLength sequence;
    sequence.prompt = row.prompt;
    sequence.output =
        row.ignore_eos ? row.max_tokens : std::clamp<int64_t>(usual, 1, row.max_tokens);
    sequence.most_output = row.max_tokens;
    sequence.count = ((i + 1) * all / seen - i * all / seen) * job.num_samples;
    sequences.push_back(sequence);
  }
  return sequences;
}

double guessed_seconds(const ModelConfig& config, const std::vector<RankReport>& inventory,
                       const std::vector<SequenceLength>& lengths) {
  double tokens = 0, flops_per_s = 0;
  for (const SequenceLength& length : lengths)
    tokens +=
        static_cast<double>(length.count) * static_cast<double>(length.prompt + length.output);
  for (const RankReport& rank : inventory)
    flops_per_s += rank.backend == BackendKind::kCuda ? kFlopsOfGpu : kFlopsOfThread * rank.threads;
  return tokens * operations_of_token(config) / flops_per_s;
}

double profile_budget(const Job& job, double run_s) {
  if (job.profile_seconds) return *job.profile_seconds;
  if (kProfileSeconds <= kShare * run_s) return kProfileSeconds;
  const bool pays = kShortProfileSeconds <= kShare * run_s;
  return pays || asks_about_speed(job) ? kShortProfileSeconds : 0;
}

std::optional<PlanningData> find_planning_data(const Mpi& mpi, const Job& job, const Input& input,
                                               const Machines& machines, Measuring measuring) {
  PlanningData data;
  data.name = (job.model / "").parent_path().filename().string();
  data.lengths = sequence_lengths(job, input.lengths);
  const double run_s =
      guessed_seconds(input.checkpoint->config(), machines.inventory, data.lengths);
  if (mpi.max(static_cast<double>(data.lengths.size())) == 0) return std::nullopt;
  mpi.agreed([&] {
    if (mpi.rank() == 0)
      add_quality(job, sensitivity_of(job, *input.checkpoint),
                  job.load_format == LoadFormat::kDummy, input.checkpoint->config(), data);
  });
  const auto ranks = profiles_for(mpi, job, input, machines, {measuring, mpi.max(run_s)});
  if (ranks.empty()) {
    if (mpi.rank() == 0 && measuring == Measuring::kAllowed)
      log_info(
          "the run will take about {} s, too short to measure the devices for it: planned by "
          "memory alone (llmpq profile measures them, --profile-seconds makes this job do it)",
          seconds_text(run_s));
    return std::nullopt;
  }
  add_profiles(ranks, data);
  const auto measured = profile_links(mpi, machines);
  mpi.agreed([&] {
    if (mpi.rank() != 0 || job.save_profile.empty()) return;
    const ProfileFile file = profile_file(ranks, measured, "layers of " + data.name);
    write_file_atomically(job.save_profile, to_json(file), Exit::kOutput);
  });
  auto links = averaged_links(measured, machines.inventory);
  data.link = [links = std::move(links)](int from, int to) {
    return links.at(static_cast<size_t>(from)).at(static_cast<size_t>(to));
  };
  return data;
}

}  // namespace llmpq
