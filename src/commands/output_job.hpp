// Rank 0's hold on the output: who may write it, what is in it already, and what must not have
// changed since it was begun. Used by generate.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "commands/prepare.hpp"
#include "output/journal.hpp"
#include "output/output_files.hpp"
#include "pipeline/driver.hpp"
#include "plan/plan.hpp"

namespace llmpq {

/// OUTPUT, or OUTPUT.shard-I-of-N with --shard.
std::filesystem::path output_path(const Job& job);

OutputWishes wishes_of(const Job& job);

/// The lock and the journal of a run, held from before the plan is made until the end.
struct OutputJob {
  std::filesystem::path path;
  std::unique_ptr<OutputLock> lock;
  std::unique_ptr<Journal> journal;  ///< none before begin_output()
  bool continued = false;            ///< rows of an earlier run are in it
};

/// Takes the lock and, where rows are to be gone on with, opens their journal. Error(kOutput): it
/// is locked, torn, or belongs to a job with another model, other prompts or other sampling (the
/// sentence says which).
OutputJob open_output(const Job& job, const Input& input, OutputState state);

/// Begins the journal of a fresh job: the first change on disk, when nothing can go wrong any more
/// that the user would have to mend first. The plan and the `arithmetic` of the ranks are stored
/// with a fresh one; Error(kOutput) if a continued one has rows of ranks that round otherwise.
void begin_output(const Job& job, const Input& input, const Plan& plan,
                  const std::vector<std::string>& arithmetic, OutputJob& output);

/// The job with the formats of the plan that the journal's first rows were made with: they belong
/// to the job, as sampling does. Error(kOutput) if the job asks for others and does not allow that
/// with --allow-format-change, which the returned job has only where its formats may give way to
/// others. Collective: the same on all ranks; `output` is rank 0's.
Job keep_formats(const Mpi& mpi, const Job& job, const OutputJob& output);

/// For an output that is complete: nothing is left to do but to say so, and to warn if it is not
/// this job's.
void accept_output(const Job& job);

/// When a run began and ended (ISO 8601), and how long its parts took.
struct RunTimes {
  std::string started, ended;
  double load_s = 0, run_s = 0;
  std::string strategy;                         ///< of the plan
  std::optional<double> promised_tokens_per_s;  ///< output tokens, by the plan
};

/// What rank 0 did in a run.
struct Driven {
  DriverCounts counts;
  double reading_s = 0, writing_s = 0;  ///< of the I/O thread
};

/// Publishes the output if all rows are done, prints the report, and returns the exit code: 0,
/// kRowsFailed with --strict, or kStoppedEarly if rows are left, which stay with the journal.
int finish_output(const Job& job, const Input& input, OutputJob& output, const Driven& driven,
                  const RunTimes& times);

}  // namespace llmpq
