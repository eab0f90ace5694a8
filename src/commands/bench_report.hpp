// What `llmpq bench` has measured, and how it is shown. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "kernels/peaks.hpp"
#include "layer/step_work.hpp"
#include "output/stage_time.hpp"
#include "pipeline/driver.hpp"

namespace llmpq {

/// One stage in one run.
struct BenchStage {
  int rank = 0;
  int64_t layer_begin = 0, layer_end = 0;
  StageTime time;
  ByKind<StepWork> work;  ///< of all its steps, by their kind
};

struct BenchRun {
  double seconds = 0;
  DriverCounts counts;
  std::vector<BenchStage> stages;
};

/// A plan and its runs, of which there is at least one.
struct BenchCase {
  std::string strategy, mix, formats;
  int32_t prefill_tokens = 0, decode_batch = 0, lanes = 0;
  double load_s = 0;
  std::optional<double> predicted_s;  ///< by the simulator
  std::vector<BenchRun> runs;
};

struct BenchReport {
  std::string model;
  int64_t prompts = 0, prompt_tokens = 0, output_tokens = 0;
  std::vector<std::string> devices;  ///< by rank
  std::vector<Peaks> peaks;          ///< by rank
  std::vector<BenchCase> cases;
};

/// Tokens of all sequences together, per second. Prefill and decode: rows of that kind over the
/// seconds that the busiest stage computed on steps of that kind; nothing if there were none, or
/// steps of both kinds in one, whose seconds cannot be told apart.
struct Speeds {
  double output = 0, total = 0;
  std::optional<double> prefill, decode;
};
Speeds speeds_of(const BenchRun& run);

/// The run in the middle by its seconds; of an even number the quicker of the two.
const BenchRun& median_run(const BenchCase& c);
/// (slowest - quickest) / median, of the runs' seconds.
double spread_of(const BenchCase& c);

/// The share of the peak at which work was done in `seconds`: of the memory's (MBU), and of the
/// arithmetic's, each operation at the peak of the unit that computes it (MFU). Nothing without
/// seconds, or where a peak is not known.
std::optional<double> bandwidth_share(const StepWork& work, double seconds, const Peaks& peaks);
std::optional<double> arithmetic_share(const StepWork& work, double seconds, const Peaks& peaks);

/// Tables for people.
std::string describe(const BenchReport& report);
/// One JSON object on one line, with every run.
std::string to_json(const BenchReport& report);
/// A Markdown table with one row for each case.
std::string to_markdown(const BenchReport& report);

}  // namespace llmpq
