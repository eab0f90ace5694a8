#include "commands/check.hpp"

#include <fmt/format.h>
#include <sys/utsname.h>

#include <cstdio>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>

#include "base/file.hpp"
#include "base/hash.hpp"
#include "base/json.hpp"
#include "base/log.hpp"
#include "commands/check_report.hpp"
#include "commands/cli.hpp"
#include "commands/machines.hpp"
#include "commands/output_job.hpp"
#include "commands/places.hpp"
#include "commands/prepare.hpp"
#include "kernels/cpu/isa.hpp"
#include "profile/peaks.hpp"

namespace llmpq {
namespace {

constexpr int64_t kLargestProgram = int64_t{1} << 30;

/// Error as text; empty if `work` went well.
std::string failure_of(const std::function<void()>& work) {
  try {
    work();
    return "";
  } catch (const Error& error) {
    return dump_json(nlohmann::json{static_cast<int>(error.code()), error.what()});
  } catch (const std::exception& error) {
    return dump_json(nlohmann::json{static_cast<int>(Exit::kInternal), error.what()});
  }
}

/// Collective: does `work` on every rank and notes what failed, the same sentence once. Returns
/// whether all went well.
bool attempt(const Mpi& mpi, CheckReport& report, const std::function<void()>& work) {
  const auto failures = mpi.all_gather(failure_of(work));
  std::map<std::string, std::vector<int>> ranks;
  for (size_t rank = 0; rank < failures.size(); ++rank)
    if (!failures[rank].empty()) ranks[failures[rank]].push_back(static_cast<int>(rank));
  for (const auto& [failure, of] : ranks) {
    const auto json = parse_json(failure, "a rank's error", Exit::kMpi);
    const bool of_all = std::ssize(of) == mpi.size();
    report.findings.push_back(
        {static_cast<Exit>(json.at(0).get<int>()),
         (of_all ? "" : ranks_text(of) + ": ") + json.at(1).get<std::string>()});
  }
  return ranks.empty();
}

void warn(CheckReport& report, std::string sentence) {
  report.findings.push_back({Exit::kOk, std::move(sentence)});
}

/// Which ranks have which of a few texts, for a sentence.
std::string told_apart(const std::vector<std::string>& texts) {
  std::map<std::string, std::vector<int>> ranks;
  for (size_t rank = 0; rank < texts.size(); ++rank)
    ranks[texts[rank]].push_back(static_cast<int>(rank));
  std::vector<std::string> parts;
  for (const auto& [text, of] : ranks) parts.push_back(fmt::format("{}: {}", ranks_text(of), text));
  return fmt::format("{}", fmt::join(parts, "; "));
}

bool all_equal(const std::vector<std::string>& texts) {
  return std::all_of(texts.begin(), texts.end(),
                     [&](const auto& text) { return text == texts[0]; });
}

/// Collective: every rank must run the same program on the same architecture.
void compare_programs(const Mpi& mpi, CheckReport& report) {
  utsname machine{};
  uname(&machine);
  const auto programs = mpi.all_gather(fmt::format("{} on {}", version_text(), machine.machine));
  if (!all_equal(programs)) {
    report.findings.push_back(
        {Exit::kMpi, "the ranks do not run the same program: " + told_apart(programs) +
                         "; start one build on machines of one kind"});
    return;
  }
  const std::string program = read_file("/proc/self/exe", kLargestProgram, Exit::kInternal);
  const auto builds = mpi.all_gather(fmt::format("build {:016x}", hash_of(program)));
  if (!all_equal(builds))
    warn(report, "the ranks run different builds of " + version_text() + ": " + told_apart(builds));
}

/// Where the threads of ranks on the same CPUs are more than these.
void find_crowded_cpus(CheckReport& report) {
  std::map<std::pair<std::string, std::string>, std::vector<const RankReport*>> groups;
  for (const RankReport& rank : report.ranks) groups[{rank.host, rank.cpus}].push_back(&rank);
  for (const auto& [place, group] : groups) {
    int threads = 0;
    std::vector<int> ranks;
    for (const RankReport* rank : group) {
      threads += rank->backend == BackendKind::kCpu ? rank->threads : 1;
      ranks.push_back(rank->rank);
    }
    const int cpus = group[0]->usable_cpus;
    if (threads > cpus)
      warn(report, fmt::format("{} on {} compute with {} threads on {} CPUs ({}): start fewer "
                               "ranks a node, or give each fewer --threads",
                               ranks_text(ranks), place.first, threads, cpus, place.second));
  }
}

void note_bindings(const std::vector<RankSight>& sights, const Placement& placement,
                   CheckReport& report) {
  for (BindingLine& line : explain(sights, placement.bindings))
    if (line.is_warning)
      warn(report, std::move(line.text));
    else
      report.notes.push_back(std::move(line.text));
}

/// What there is to choose from, for a person whose ranks could not be bound.
void note_gpus(const std::vector<RankSight>& sights, CheckReport& report) {
  for (const RankSight& sight : sights)
    for (size_t i = 0; i < sight.gpus.size(); ++i)
      report.notes.push_back(fmt::format("rank {} on {} sees GPU {}: {} ({}, {})", sight.rank,
                                         sight.host, i, sight.gpus[i].name, sight.gpus[i].uuid,
                                         sight.gpus[i].pci));
}

/// Collective: binds every rank and opens its device, as far as it goes. The backend is null where
/// it did not.
std::unique_ptr<Backend> open_devices(const Mpi& mpi, const Job& job, CheckReport& report) {
  RankSight sight;
  sight.rank = mpi.rank();
  sight.host = mpi.host();
  Placement placement;
  bool good = attempt(mpi, report, [&] { sight = look_for_gpus(mpi, job); });
  const std::vector<RankSight> sights = gather_sights(mpi, sight);
  good = good && attempt(mpi, report, [&] { placement = place_ranks(job, sights); });
  RankReport mine;
  std::unique_ptr<Backend> backend;
  if (good) {
    note_bindings(sights, placement, report);
    mine = settle_on_host(mpi, job, sight, placement);
    good = attempt(mpi, report, [&] { backend = open_backend(mpi, job, mine, placement); });
  } else {
    note_gpus(sights, report);
    mine = report_rank(mpi, {.threads = job.threads, .memory_bytes = job.memory_limit});
  }
  if (good) {
    report.ranks = take_inventory(mpi, mine, *backend, placement);
  } else {
    report.ranks = gather_inventory(mpi, mine);
    backend.reset();
  }
  return backend;
}

/// The links that a pipeline in the ranks' order would have.
void choose_links(const Mpi& mpi, const Job& job, CheckReport& report) {
  std::vector<LinkedStage> stages;
  for (const RankReport& r : report.ranks)
    stages.push_back({r.rank, r.backend, r.uuid, r.why_no_links});
  attempt(mpi, report, [&] {
    for (size_t i = 1; i < stages.size(); ++i)
      report.links.push_back(
          {stages[i - 1].rank, stages[i].rank, choose_link(job.link, {stages[i - 1], stages[i]})});
    if (stages.size() == 1) choose_link(job.link, stages);
  });
}

/// Collective: GPU to pinned host memory and back, on each rank that has one.
void measure_gpus(const Mpi& mpi, Backend& backend, CheckReport& report) {
  std::string mine;
  const bool has_gpu = backend.kind() == BackendKind::kCuda;
  attempt(mpi, report, [&] {
    if (!has_gpu) return;
    const DeviceTransfer transfer = measure_copies(backend);
    mine = dump_json(nlohmann::json{transfer.to_host_gbps, transfer.to_device_gbps});
  });
  for (const std::string& text : mpi.all_gather(mine)) {
    report.copies.emplace_back();
    if (text.empty()) continue;
    const auto json = parse_json(text, "a rank's copies", Exit::kMpi);
    report.copies.back() = {json.at(0), json.at(1)};
  }
}

/// Collective. Memory that is short on one rank is a finding, on all: nobody is measured alone.
void find_peaks(const Mpi& mpi, const Job& job, Backend& backend, CheckReport& report) {
  try {
    report.peaks = measure_peaks_of_ranks(mpi, backend, choose_isa(job.isa));
  } catch (const Error& error) {
    warn(report, std::string("the peaks could not be measured: ") + error.what());
  }
}

/// Collective: every rank opens the weights, rank 0 the tokenizer.
void open_model_everywhere(const Mpi& mpi, const Job& job, CheckReport& report) {
  std::string model;
  const bool good = attempt(mpi, report, [&] {
    const auto checkpoint = open_model(job);
    const ModelConfig& config = checkpoint->config();
    model = fmt::format("{}: {}, {} layers, hidden {}, vocabulary {}", job.model.string(),
                        config.family, config.layers, config.hidden, config.vocab);
    const auto tokenizer = job.model / "tokenizer.json";
    if (mpi.rank() == 0 && is_there(tokenizer, Exit::kModel)) Tokenizer::load(tokenizer);
    if (mpi.rank() == 0 && job.chat) ChatTemplate::load(job.model);
  });
  if (good) report.model = model;
}

/// Whether an output that is there may stay or go is said by flags that a script may still add, and
/// a job that writes it may end: warnings.
void look_at_output(const Job& job, CheckReport& report) {
  const auto path = output_path(job);
  try {
    check_output(path, wishes_of(job));
  } catch (const Error& error) {
    warn(report, fmt::format("{} (generate's exit code would be 6)", error.what()));
  }
  if (const auto owner = lock_owner(path))
    warn(report, fmt::format("{}: in use by {}; wait for it or choose another output",
                             OutputPaths(path).part.string(), *owner));
}

/// Collective: what the job reads and writes besides, which rank 0 does.
void look_at_files(const Mpi& mpi, const Job& job, CheckReport& report) {
  const auto on_first_rank = [&](const std::function<void()>& work) {
    return attempt(mpi, report, [&] {
      if (mpi.rank() == 0) work();
    });
  };
  const bool has_place = on_first_rank([&] {
    check_places(job, Command::kGenerate);
    if (!job.output.empty()) check_place(output_path(job));
  });
  on_first_rank([&] {
    if (job.prompts.empty()) return;
    select_rows(PromptsFile::open(job.prompts).rows(), job.rows, job.shard);
  });
  if (mpi.rank() == 0 && has_place && !job.output.empty()) look_at_output(job, report);
}

void print(const Job& job, const CheckReport& report) {
  const std::string text = job.json ? to_json(report) + "\n" : describe(report);
  std::fwrite(text.data(), 1, text.size(), stdout);
}

}  // namespace

int run_check(const Job& job) {
  set_log_level(job.log_level);
  const Mpi mpi;
  CheckReport report;
  compare_programs(mpi, report);
  const std::unique_ptr<Backend> backend = open_devices(mpi, job, report);
  find_crowded_cpus(report);
  if (backend) {
    for (std::string& sentence : left_out_units(report.ranks))
      report.notes.push_back(std::move(sentence));
    for (std::string& sentence : filled_gpus(report.ranks)) warn(report, std::move(sentence));
    choose_links(mpi, job, report);
    measure_gpus(mpi, *backend, report);
    if (job.peaks) find_peaks(mpi, job, *backend, report);
  }
  report.transfers = measure_transfers(mpi);
  if (!job.model.empty()) open_model_everywhere(mpi, job, report);
  look_at_files(mpi, job, report);
  if (mpi.rank() == 0) print(job, report);
  return static_cast<int>(report.code());
}

}  // namespace llmpq
