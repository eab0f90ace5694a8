#include "commands/output_job.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "base/json.hpp"
#include "base/log.hpp"
#include "commands/arithmetic.hpp"
#include "commands/cli.hpp"
#include "kernels/check.hpp"
#include "plan/plan_json.hpp"

namespace llmpq {
namespace {

/// The options on which the tokens of a row depend, besides model and prompts.
constexpr const char* kSamplingOptions[] = {"max-tokens",
                                            "min-tokens",
                                            "temperature",
                                            "top-p",
                                            "top-k",
                                            "min-p",
                                            "repetition-penalty",
                                            "presence-penalty",
                                            "frequency-penalty",
                                            "seed",
                                            "stop",
                                            "stop-token-ids",
                                            "ignore-eos",
                                            "logprobs",
                                            "num-samples",
                                            "truncate-prompt",
                                            "chat",
                                            "activation-dtype"};

std::string hex(uint64_t hash) { return fmt::format("{:016x}", hash); }

/// What must be the same for a run to go on with another's rows: one key for each thing.
nlohmann::json fingerprint(const Job& job, const Input& input) {
  const auto options =
      parse_json(job_to_json(job, Command::kGenerate), "the job's options", Exit::kInternal);
  nlohmann::json print;
  print["model"] = hex(input.checkpoint->content_hash());
  print["prompts"] = hex(input.prompts->content_hash());
  if (input.chat) print["chat-template"] = hex(input.chat->content_hash());
  print["rows"] = fmt::format("{}:{}", input.feed.rows.begin, input.feed.rows.end);
  print["max-model-len"] = input.max_model_len;
  print["kv-cache-dtype"] = std::string(name(input.kv_type));
  for (const char* option : kSamplingOptions) print[option] = options.at(option);
  return print;
}

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
    const auto old = before.find(key);
    CHECK(old != before.end() && *old == value, Exit::kOutput,
          "{}: cannot go on: {} was {} when it was begun and is {} now; take the old one, or "
          "begin anew with --overwrite without --resume",
          path, key, old == before.end() ? "not known" : dump_json(*old), dump_json(value));
  }
}

std::string job_id() {
  const char* slurm = std::getenv("SLURM_JOB_ID");
  return slurm ? fmt::format("Slurm job {}", slurm) : fmt::format("process {}", getpid());
}

}  // namespace

std::filesystem::path output_path(const Job& job) {
  return job.shard.empty() ? job.output : shard_output(job.output, job.shard);
}

OutputJob open_output(const Job& job, const Input& input, OutputState state) {
  OutputJob output;
  output.path = output_path(job);
  output.lock = std::make_unique<OutputLock>(output.path, job_id());
  output.continued = state == OutputState::kContinue;
  if (!output.continued) return output;
  output.journal = Journal::resume(output.path);
  check_unchanged(*output.journal, job, input, OutputPaths(output.path).part.string());
  const JournalCounts counts = output.journal->counts();
  log_info("going on with {}: {} of {} rows are done", OutputPaths(output.path).part.string(),
           counts.done, counts.rows);
  return output;
}

void begin_output(const Job& job, const Input& input, const Plan& plan,
                  const std::vector<std::string>& arithmetic, OutputJob& output) {
  if (output.journal)
    check_arithmetic(output.journal->head().versions, arithmetic,
                     OutputPaths(output.path).part.string());
  else
    output.journal =
        Journal::create(output.path, journal_head(job, input, arithmetic), to_json(plan));
}

Job keep_formats(const Job& job, const OutputJob& output) {
  Job kept = job;
  if (!output.continued || output.journal->plans().empty()) return kept;
  const Plan first = parse_plan(output.journal->plans().front(), "the journal's first plan");
  const std::vector<Format> formats = layer_formats(first);
  for (size_t i = 0; i < formats.size() && !job.format.empty(); ++i) {
    const Format wanted = job.format.size() == 1 ? job.format[0] : job.format.at(i);
    CHECK(wanted == formats[i], Exit::kOutput,
          "--format: layer {} was {} when {} was begun and shall be {} now; leave --format out, or "
          "begin anew with --overwrite without --resume",
          i, name(formats[i]), output.path.string(), name(wanted));
  }
  kept.format = formats;
  kept.head_format = first.head_format;
  return kept;
}

Job with_formats_of_rank_0(const Mpi& mpi, Job job) {
  nlohmann::json mine{{"layers", nlohmann::json::array()}, {"head", nullptr}};
  for (const Format format : job.format) mine["layers"].push_back(std::string(name(format)));
  if (job.head_format) mine["head"] = std::string(name(*job.head_format));
  const auto json = parse_json(mpi.broadcast(dump_json(mine)), "rank 0's formats", Exit::kMpi);
  job.format.clear();
  for (const auto& layer : json.at("layers"))
    job.format.push_back(*parse_format(layer.get<std::string>()));
  job.head_format.reset();
  if (json.at("head").is_string())
    job.head_format = parse_format(json.at("head").get<std::string>());
  return job;
}

}  // namespace llmpq
