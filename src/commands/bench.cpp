#include "commands/bench.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/file.hpp"
#include "base/json.hpp"
#include "base/log.hpp"
#include "commands/bench_report.hpp"
#include "commands/decide.hpp"
#include "commands/drive_requests.hpp"
#include "commands/places.hpp"
#include "commands/prepare.hpp"
#include "commands/save_events.hpp"
#include "commands/share.hpp"
#include "input/job_options.hpp"
#include "kernels/cpu/isa.hpp"
#include "pipeline/made_feed.hpp"
#include "plan/describe.hpp"
#include "profile/peaks.hpp"

namespace llmpq {
namespace {

constexpr int64_t kRowsPerRead = 256;
constexpr int32_t kOutputTokens = 128;
constexpr int64_t kPrompts = 64;

/// What all runs share. Rank 0 alone has the lengths.
struct Bench {
  const Mpi& mpi;
  const Input& input;
  const Machines& machines;
  std::vector<RequestLength> lengths;
};

/// Takes finished rows and keeps nothing but the first failure.
class DiscardingSink final : public RowSink {
 public:
  void add(FinishedRow row) override {
    if (row.finish_reason == FinishReason::kError && failures++ == 0) first_error = row.error;
  }
  void commit() override {}

  int64_t failures = 0;
  std::string first_error;
};

/// As generate would read the job: outputs of a given length, whatever the model says.
Job timed_job(const Job& job) {
  Job timed = job;
  timed.sampling.max_tokens = job.output_len.value_or(kOutputTokens);
  timed.sampling.ignore_eos = true;
  return timed;
}

std::vector<RequestLength> lengths_of_file(const Job& job, const Input& input, int64_t wanted) {
  Feed feed(*input.prompts, input.tokenizer_or_null(), input.feed);
  std::vector<RequestLength> lengths;
  while (!feed.at_end() && std::ssize(lengths) < wanted)
    for (const Request& request : feed.read(kRowsPerRead).requests)
      lengths.push_back({static_cast<int32_t>(request.prompt.size()),
                         job.output_len ? std::min(*job.output_len, request.sampling.max_tokens)
                                        : request.sampling.max_tokens});
  CHECK(!lengths.empty(), Exit::kPrompts, "{}: no row can be run, so there are no lengths",
        job.prompts.string());
  return lengths;
}

/// Rank 0: of every row, from the options or from the prompts file, over and over if it is short.
std::vector<RequestLength> request_lengths(const Job& job, const Input& input) {
  if (!input.prompts) {
    CHECK(job.input_len + job.sampling.max_tokens <= input.max_model_len, Exit::kUsage,
          "--input-len {} and --output-len {} exceed the context of {} tokens (--max-model-len)",
          job.input_len, job.sampling.max_tokens, input.max_model_len);
    return std::vector<RequestLength>(static_cast<size_t>(job.num_prompts.value_or(kPrompts)),
                                      {job.input_len, job.sampling.max_tokens});
  }
  const int64_t wanted = job.num_prompts.value_or(input.lengths.rows);
  const auto known = lengths_of_file(job, input, wanted);
  std::vector<RequestLength> lengths;
  for (int64_t i = 0; i < wanted; ++i)
    lengths.push_back(known[static_cast<size_t>(i % std::ssize(known))]);
  return lengths;
}

/// Rank 0: what the planner asks about the rows.
WorkloadLengths workload_of(const std::vector<RequestLength>& lengths) {
  WorkloadLengths workload;
  workload.rows = std::ssize(lengths);
  double sum = 0;
  for (const RequestLength& each : lengths) {
    workload.longest_prompt = std::max<int64_t>(workload.longest_prompt, each.prompt);
    workload.longest_sequence =
        std::max<int64_t>(workload.longest_sequence, each.prompt + each.output);
    sum += each.prompt;
    workload.seen.push_back({each.prompt, each.output, true});
  }
  workload.mean_prompt = sum / static_cast<double>(lengths.size());
  return workload;
}

/// PATH-STRATEGY-MIX.EXTENSION, where each of several cases writes a file of its own.
void name_after_case(std::filesystem::path& path, const std::string& strategy,
                     const std::string& mix) {
  if (!path.empty())
    path.replace_filename(path.stem().string() + "-" + strategy + "-" + mix +
                          path.extension().string());
}

/// The job once for each strategy and mix.
std::vector<Job> cases_of(const Job& job) {
  const bool alone = job.strategies.size() * job.mixes.size() == 1;
  std::vector<Job> cases;
  for (const std::string& strategy : job.strategies)
    for (const std::string& mix : job.mixes) {
      Job one = job;
      set_option(one, *find_option("strategy", Command::kPlan), {strategy}, {}, "--strategy");
      set_option(one, *find_option("mix", Command::kPlan), {mix}, {}, "--mix");
      if (!alone)
        for (auto* path : {&one.trace, &one.svg}) name_after_case(*path, strategy, mix);
      cases.push_back(std::move(one));
    }
  return cases;
}

/// Rank 0's part of a run.
DriverCounts drive(const Bench& bench, const Job& job, const Plan& plan, Share& share,
                   Timeline& timeline) {
  MadeFeed feed({.lengths = bench.lengths,
                 .vocab = bench.input.checkpoint->config().vocab,
                 .seed = job.seed,
                 .sampling = job.sampling});
  DiscardingSink sink;
  const DriverCounts counts =
      drive_requests(bench.mpi, share,
                     {.job = job, .plan = plan, .feed = feed, .sink = sink, .timeline = &timeline});
  CHECK(sink.failures == 0, Exit::kNoPlan, "{} of {} rows failed, the first one: {}", sink.failures,
        bench.lengths.size(), sink.first_error);
  return counts;
}

/// Of this rank's steps, by their kind.
ByKind<StepWork> work_of(const Share& share, const Timeline& timeline) {
  ByKind<StepWork> work;
  for (size_t i = 0; share.stage && i < timeline.steps.size(); ++i)
    work.of(timeline.steps[i].kind) += share.stage->work(timeline.steps[i].shape);
  return work;
}

std::string to_text(const ByKind<StepWork>& work) {
  auto json = nlohmann::json::array();
  for (const StepWork& each : {work.prefill, work.decode, work.mixed})
    json.push_back({{"bytes", each.bytes}, {"operations", each.operations}});
  return dump_json(json);
}

ByKind<StepWork> work_from(const std::string& text) {
  const auto json = parse_json(text, "a rank's work", Exit::kMpi);
  const auto read = [&](size_t i) {
    return StepWork{json.at(i).at("bytes"), json.at(i).at("operations")};
  };
  return {read(0), read(1), read(2)};
}

/// Collective: the stages' times and work on rank 0.
std::vector<BenchStage> gather_stages(const Mpi& mpi, const ByKind<StepWork>& mine,
                                      const EventsOfRun& run) {
  const auto texts = mpi.gather(to_text(mine));
  if (mpi.rank() != 0) return {};
  const auto& plans = run.plan.pipelines[0].stages;
  std::vector<int> ranks;
  for (const StagePlan& stage : plans) ranks.push_back(stage.ranks.at(0));
  const auto times = stage_times(run.events, ranks, run.begin_s, run.end_s);
  std::vector<BenchStage> stages;
  for (size_t i = 0; i < ranks.size(); ++i)
    stages.push_back({ranks[i], plans[i].layer_begin, plans[i].layer_end, times[i],
                      work_from(texts.at(static_cast<size_t>(ranks[i])))});
  return stages;
}

/// Collective. `last`: the run that --trace and --svg show.
BenchRun run_once(const Bench& bench, const Job& job, const Plan& plan, Share& share, bool last) {
  const Mpi& mpi = bench.mpi;
  Timeline timeline;
  timeline.rank = mpi.rank();
  timeline.with_operations = last && !job.trace.empty();
  BenchRun run;
  mpi.barrier();
  const double begin_s = steady_seconds();
  or_abort(mpi, [&] {
    Bell bell;
    if (mpi.rank() == 0)
      run.counts = drive(bench, job, plan, share, timeline);
    else
      run_share(mpi, share, plan,
                {.bell = bell, .conductor = nullptr, .tick = {}, .timeline = &timeline});
  });
  run.seconds = steady_seconds() - begin_s;
  const auto events = collect_events(mpi, timeline);
  const EventsOfRun of_run{plan, events, begin_s, begin_s + run.seconds};
  run.stages = gather_stages(mpi, work_of(share, timeline), of_run);
  if (last && wants_events(job)) save_events(mpi, job, of_run);
  return run;
}

BenchCase run_case(const Bench& bench, const Job& job) {
  const Decision decision = decide(bench.mpi, job, bench.input, bench.machines);
  const Plan& plan = decision.plan;
  Share share = load_share(
      bench.mpi, {.job = job, .input = bench.input, .machines = bench.machines, .plan = plan});
  BenchCase result;
  result.strategy = to_text(*find_option("strategy", Command::kPlan),
                            find_option("strategy", Command::kPlan)->binding.get(job).at(0));
  result.mix = name(plan.mix);
  result.formats = run_lengths(layer_formats(plan));
  result.prefill_tokens = plan.prefill_tokens;
  result.decode_batch = plan.decode_batch;
  result.lanes = plan.lanes;
  result.load_s = share.load_s;
  if (decision.predicted) result.predicted_s = decision.predicted->seconds;
  for (int i = 0; i < job.warmup; ++i) run_once(bench, job, plan, share, false);
  for (int i = 0; i < job.repetitions; ++i) {
    result.runs.push_back(run_once(bench, job, plan, share, i + 1 == job.repetitions));
    const BenchRun& run = result.runs.back();
    if (bench.mpi.rank() == 0)
      log_info("{}, {}: run {} of {}: {:.1f} output tokens/s, {:.2f} s", result.strategy,
               result.mix, i + 1, job.repetitions, speeds_of(run).output, run.seconds);
  }
  return result;
}

BenchReport report_of(const Bench& bench, const Job& job, std::vector<Peaks> peaks) {
  BenchReport report;
  report.model = (job.model / "").parent_path().filename().string();
  report.prompts = std::ssize(bench.lengths);
  for (const RequestLength& each : bench.lengths) {
    report.prompt_tokens += each.prompt;
    report.output_tokens += each.output;
  }
  for (const RankReport& rank : bench.machines.inventory) report.devices.push_back(rank.device);
  report.peaks = std::move(peaks);
  return report;
}

/// Peaks are measured before and after the runs: whatever else a machine does makes them lower.
void raise_to(std::vector<Peaks>& peaks, const std::vector<Peaks>& again) {
  for (size_t rank = 0; rank < peaks.size(); ++rank) peaks[rank] = higher(peaks[rank], again[rank]);
}

void print(const Job& job, const BenchReport& report) {
  const std::string text =
      job.json ? to_json(report) + "\n" : (job.markdown ? to_markdown(report) : describe(report));
  std::fwrite(text.data(), 1, text.size(), stdout);
}

}  // namespace

int run_bench(const Job& job) {
  set_log_level(job.log_level);
  const Mpi mpi;
  check_places(mpi, job, Command::kBench);
  const Job timed = timed_job(job);
  Input input = load_input(mpi, timed);
  std::vector<RequestLength> lengths;
  mpi.agreed([&] {
    if (mpi.rank() != 0) return;
    lengths = request_lengths(timed, input);
    input.lengths = workload_of(lengths);
  });
  const Machines machines = find_machines(mpi, job);
  const Bench bench{mpi, input, machines, std::move(lengths)};
  BenchReport report =
      report_of(bench, job, measure_peaks_of_ranks(mpi, *machines.backend, choose_isa(job.isa)));
  for (const Job& one : cases_of(timed)) report.cases.push_back(run_case(bench, one));
  raise_to(report.peaks, measure_peaks_of_ranks(mpi, *machines.backend, choose_isa(job.isa)));
  if (mpi.rank() == 0) print(job, report);
  return 0;
}

}  // namespace llmpq
