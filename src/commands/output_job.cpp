#include "commands/output_job.hpp"

#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/file.hpp"
#include "base/json.hpp"
#include "base/launcher.hpp"
#include "base/log.hpp"
#include "commands/arithmetic.hpp"
#include "commands/cli.hpp"
#include "commands/fingerprint.hpp"
#include "kernels/check.hpp"
#include "output/publish.hpp"
#include "output/report.hpp"
#include "output/result.hpp"
#include "plan/plan_json.hpp"

namespace llmpq {
namespace {

/// What belongs to the formats rather than to the sampling.
constexpr const char* kFormatOptions[] = {"kv-cache-dtype", "activation-dtype"};

std::string versions(const std::vector<std::string>& arithmetic) {
  const nlohmann::json versions{
      {"llmpq", version_text()},
      {"compiler", __VERSION__},
      {"arithmetic",
       parse_json(arithmetic_json(arithmetic), "the arithmetic of the ranks", Exit::kInternal)}};
  return dump_json(versions);
}

JournalHead journal_head(const Job& job, const Input& input,
                         const std::vector<std::string>& arithmetic) {
  JournalHead head;
  head.rows = input.feed.rows;
  head.num_samples = job.num_samples;
  head.logprobs = job.sampling.logprobs;
  head.job = job_to_json(job, Command::kGenerate);
  head.profile = "{}";
  head.versions = versions(arithmetic);
  head.fingerprint = dump_json(fingerprint(job, input));
  return head;
}

void check_unchanged(const Journal& journal, const Job& job, const Input& input,
                     const std::string& path) {
  const auto before = parse_json(journal.head().fingerprint, path, Exit::kOutput);
  const auto now = fingerprint(job, input);
  for (const auto& [key, value] : now.items()) {
    if (job.allow_format_change && std::ranges::count(kFormatOptions, key) > 0) continue;
    const auto old = before.find(key);
    CHECK(old != before.end() && *old == value, Exit::kOutput,
          "{}: cannot go on: {} was {} when it was begun and is {} now; take the old one, or "
          "begin anew with --overwrite without --resume",
          path, key, old == before.end() ? "not known" : dump_json(*old), dump_json(value));
  }
}

std::string job_id() {
  const std::string slurm = slurm_job_name();
  return slurm.empty() ? fmt::format("process {}", getpid()) : "Slurm job " + slurm;
}

/// The plan's formats in place of the job's, which must not be others.
void take_formats(const Plan& first, Job& job) {
  const std::vector<Format> formats = layer_formats(first);
  for (size_t i = 0; i < formats.size() && !job.format.empty(); ++i) {
    const Format wanted = job.format.size() == 1 ? job.format[0] : job.format.at(i);
    CHECK(wanted == formats[i], Exit::kOutput,
          "--format: layer {} was {} when {} was begun and shall be {} now; leave --format out, "
          "allow it with --allow-format-change, or begin anew with --overwrite without --resume",
          i, name(formats[i]), output_path(job).string(), name(wanted));
  }
  job.format = formats;
  job.head_format = first.head_format;
}

/// Nothing is done whatever the output holds, but whoever changed the job shall know.
void warn_of_another_job(const Job& job, const std::filesystem::path& output) {
  const ResultReader result(output);
  const auto changes = changes_since(result.head().fingerprint, result.head().rows, job);
  if (changes.empty()) return;
  log_warning("{} is of another job, with {}: it stays; --overwrite makes it anew", output.string(),
              fmt::format("{}", fmt::join(changes, ", ")));
}

}  // namespace

std::filesystem::path output_path(const Job& job) {
  return job.shard.empty() ? job.output : shard_output(job.output, job.shard);
}

OutputWishes wishes_of(const Job& job) {
  return {.overwrite = job.overwrite, .resume = job.resume, .retry_failed = job.retry_failed};
}

OutputJob open_output(const Job& job, const Input& input, OutputState state) {
  OutputJob output;
  output.path = OutputPaths(output_path(job)).output;  // whatever becomes of a link meanwhile
  output.lock = std::make_unique<OutputLock>(output.path, job_id());
  CHECK(check_output(output.path, wishes_of(job)) == state, Exit::kOutput,
        "{}: another job has just changed it; start this one again", output.path.string());
  output.continued = state != OutputState::kFresh;
  if (!output.continued) return output;
  output.journal = state == OutputState::kRetry ? Journal::reopen(output.path)
                                                : Journal::resume(output.path, job.retry_failed);
  check_unchanged(*output.journal, job, input, OutputPaths(output.path).part.string());
  const JournalCounts counts = output.journal->counts();
  log_info("going on with {}: {} of {} rows are done", OutputPaths(output.path).part.string(),
           counts.done, counts.rows);
  return output;
}

void begin_output(const Job& job, const Input& input, const Plan& plan,
                  const std::vector<std::string>& arithmetic, OutputJob& output) {
  if (!output.journal)
    output.journal =
        Journal::create(output.path, journal_head(job, input, arithmetic), to_json(plan));
  else if (!job.allow_format_change)
    check_arithmetic(output.journal->head().versions, arithmetic,
                     OutputPaths(output.path).part.string());
}

Job keep_formats(const Mpi& mpi, const Job& job, const OutputJob& output) {
  const bool begun = output.continued && !output.journal->plans().empty();
  const std::string first = mpi.broadcast(begun ? output.journal->plans().front() : "");
  Job kept = job;
  kept.allow_format_change = false;
  if (first.empty() || (job.allow_format_change && !job.format.empty())) return kept;
  kept.allow_format_change = job.allow_format_change;
  mpi.agreed([&] { take_formats(parse_plan(first, "the journal's first plan"), kept); });
  return kept;
}

void accept_output(const Job& job) {
  const OutputPaths paths(output_path(job));
  log_info("{} is complete: nothing to do", paths.output.string());
  warn_of_another_job(job, paths.output);
  const bool was_killed = is_there(paths.lock, Exit::kOutput) && !lock_owner(paths.output);
  if (!was_killed) return;
  const OutputLock lock(paths.output, job_id());  // whose end removes its file
  remove_published_part(paths);
}

int finish_output(const Job& job, const Input& input, OutputJob& output, const Driven& driven,
                  const RunTimes& times) {
  const JournalCounts rows = output.journal->counts();
  const bool complete = rows.done == rows.rows;
  if (complete) {
    const nlohmann::json json{{"started", times.started},
                              {"ended", times.ended},
                              {"load_s", times.load_s},
                              {"run_s", times.run_s}};
    publish(output.path, std::move(output.journal),
            {.text_as_bytes = job.text_layout == TextLayout::kBytes,
             .times = dump_json(json),
             .read_ids = [&](int64_t begin, int64_t count) {
               return input.prompts->read_ids(begin, count);
             }});
  } else {
    output.journal.reset();
    log_warning("stopped early: {} of {} rows are done and saved; --resume goes on", rows.done,
                rows.rows);
  }
  print_report(job, {.output = complete ? output.path : OutputPaths(output.path).part,
                     .rows = rows,
                     .work = driven.counts,
                     .strategy = times.strategy,
                     .load_s = times.load_s,
                     .run_s = times.run_s,
                     .reading_s = driven.reading_s,
                     .writing_s = driven.writing_s,
                     .promised_tokens_per_s = times.promised_tokens_per_s});
  if (!complete) return static_cast<int>(Exit::kStoppedEarly);
  return job.strict && rows.failed > 0 ? static_cast<int>(Exit::kRowsFailed) : 0;
}

}  // namespace llmpq
