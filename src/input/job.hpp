// The job: every option of every command with its effective value. Made once, from defaults, the
// job file and the flags (in this order), and only read from then on. The list of options that
// fills it, checks it, prints it and explains it is in job_options.cpp.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.hpp"
#include "input/indicator.hpp"
#include "input/quantizer.hpp"
#include "input/sampling.hpp"
#include "input/strategy.hpp"
#include "kernels/formats.hpp"
#include "kernels/ops.hpp"
#include "kernels/tensor.hpp"

namespace llmpq {

enum class LoadFormat : uint8_t { kAuto, kDummy };
enum class TextLayout : uint8_t { kStrings, kBytes };
enum class TruncatePrompt : uint8_t { kNo, kLeft, kRight };  ///< kNo: a long prompt is a row error
enum class ConvertTo : uint8_t { kAuto, kTokenIds, kText };
enum class BackendWish : uint8_t { kAuto, kCpu, kCuda };
enum class LinkWish : uint8_t { kAuto, kNccl, kMpi };
/// Of products with integer weights: as the profile says, or what is usual on every device.
enum class GpuKernels : uint8_t { kMeasured, kUsual };

/// Field `x_y` is the flag `--x-y` and the key `x-y` of the job file. An empty path or text, and
/// an empty optional, mean "not given", which the option's help explains ("auto").
struct Job {
  // Files. Paths are absolute once the job is made.
  std::filesystem::path model;               ///< a Hugging Face directory
  std::filesystem::path prompts;             ///< HDF5
  std::filesystem::path output;              ///< HDF5
  std::vector<std::filesystem::path> input;  ///< convert: one or more files to read
  std::filesystem::path file;                ///< inspect: the file to show
  ConvertTo to = ConvertTo::kAuto;           ///< convert
  std::filesystem::path text;                ///< eval: UTF-8 text to score
  std::filesystem::path tasks;               ///< eval: JSONL, for read_tasks()
  bool divergence = false;                   ///< eval: compare with the unquantized model
  std::optional<int64_t> window;             ///< eval: tokens of a window; auto: the context
  std::optional<int64_t> stride;             ///< eval: tokens between windows; auto: half of one
  bool overwrite = false;
  bool resume = false;
  bool retry_failed = false;         ///< resume: do the rows in error again
  bool allow_format_change = false;  ///< resume: under other formats than the first plan's
  bool strict = false;               ///< exit 10 if a row failed
  bool json = false;
  bool chat = false;             ///< texts are chat messages, for the model's chat template
  std::string rows;              ///< BEGIN:END, for select_rows()
  std::string shard;             ///< I/N, for select_rows()
  int64_t prompt_window = 4096;  ///< prompts in memory at once
  TextLayout text_layout = TextLayout::kStrings;
  bool print_config = false;

  // Sampling. `sampling.seed` stays empty here: it is a row's own.
  Sampling sampling;
  uint64_t seed = 0;  ///< the job's
  int32_t num_samples = 1;
  TruncatePrompt truncate_prompt = TruncatePrompt::kNo;

  // Model and machine
  std::optional<int64_t> max_model_len;            ///< tokens; auto: the model's context
  std::optional<DType> kv_cache_dtype;             ///< auto: the checkpoint's 16-bit type
  std::optional<ActivationType> activation_dtype;  ///< auto: Backend::default_activation()
  std::optional<Format> head_format;               ///< auto: 16 bit
  LoadFormat load_format = LoadFormat::kAuto;
  std::optional<int32_t> threads;  ///< of each rank; auto: as many as it may use
  std::string isa = "auto";        ///< for make_cpu_backend()
  GpuKernels gpu_kernels = GpuKernels::kMeasured;
  std::vector<BackendWish> backend{BackendWish::kAuto};  ///< one for all ranks, or one for each
  bool share_gpu = false;                                ///< several ranks may compute on one GPU
  std::vector<std::string> emulate;                      ///< the same, for parse_emulation()
  LinkWish link = LinkWish::kAuto;
  std::optional<int64_t> memory_limit;  ///< bytes of each rank; auto: what the machine has
  int64_t timeout = 300;                ///< seconds without any progress before a rank gives up
  int64_t grace = 60;                   ///< seconds for running prompts when a stop is asked for

  // Plan
  std::filesystem::path plan;       ///< a plan file to run
  std::filesystem::path save_plan;  ///< where to write the plan
  std::filesystem::path cluster;    ///< plan: a cluster file, or the name of one in data/clusters
  std::filesystem::path save_problem;  ///< where to write what the optimizer sees
  std::filesystem::path problem;       ///< plan: a problem file to solve
  bool explain = false;                ///< plan: what limits it, and what would change it
  std::string sweep = "none";          ///< plan: "theta": the plans between quality and speed
  bool max_batch = false, max_context = false, min_bits = false;  ///< plan: the most that fits
  double optimality_gap = 0.005;  ///< proven: 1 - lower bound / objective
  double plan_time_limit = 10;    ///< seconds
  Strategy strategy = Strategy::kJoint;
  std::vector<Format> format;             ///< one for all layers, or one for each; empty = auto
  std::vector<int64_t> layers_per_stage;  ///< empty = as the strategy says
  std::optional<int32_t> prefill_tokens;
  std::optional<int32_t> decode_batch;
  std::optional<int32_t> lanes;
  std::optional<int32_t> kv_blocks;
  std::string mix = "auto";  ///< auto, or the name of a Mix
  std::optional<int64_t> expected_output_tokens;
  std::filesystem::path sensitivity;    ///< omega of the model, HDF5
  std::optional<double> theta;          ///< seconds for a unit of omega
  std::optional<double> average_bits;   ///< of the layers' weights, at least
  std::string max_perplexity_increase;  ///< "1%", for parse_percent(); empty: no bound

  // Profile
  std::filesystem::path profile;          ///< latency models to use instead of measuring
  std::filesystem::path save_profile;     ///< where to write them
  std::filesystem::path profile_cache;    ///< folder; auto: usual_cache_folder()
  std::optional<double> profile_seconds;  ///< for a new device; auto: as profiles.hpp says
  bool measure_again = false;             ///< what the cache has is not used

  // Quantizer
  Quantizer quantizer = Quantizer::kRtn;
  std::filesystem::path calibration_text;  ///< for gptq; auto: the prompts
  int64_t calibration_tokens = 32768;      ///< of the calibration text or the prompts

  // Sensitivity
  std::filesystem::path save_sensitivity;  ///< HDF5
  Indicator indicator = Indicator::kRelative;
  int32_t calibration_runs = 12;  ///< 0: omega keeps no unit

  // Bench
  int32_t input_len = 512;
  std::optional<int32_t> output_len;   ///< auto: 128, or the prompts file's max_tokens
  std::optional<int64_t> num_prompts;  ///< auto: 64, or the prompts file's
  int32_t warmup = 1;
  int32_t repetitions = 3;
  std::vector<std::string> strategies{"joint"};  ///< each as `strategy`
  std::vector<std::string> mixes{"auto"};        ///< each as `mix`
  bool markdown = false;

  // Check
  bool peaks = false;  ///< measure what the devices can do at most

  // Log
  LogLevel log_level = LogLevel::kInfo;
  std::filesystem::path timeline;  ///< where to write the steps as text
  std::filesystem::path trace;     ///< where to write them as a Chrome trace
  std::filesystem::path svg;       ///< plan: where to draw it; bench: where to draw them
};

/// The commands that there are.
enum class Command : uint8_t {
  kGenerate,
  kPlan,
  kEval,
  kConvert,
  kInspect,
  kCheck,
  kSensitivity,
  kProfile,
  kBench
};
std::string_view name(Command command);

/// Sets the options that a TOML job file names; its relative paths start at the file's folder.
/// Error(kUsage): the file cannot be read, is not TOML (with line and column), has a key that no
/// command which runs jobs knows (with the nearest that `command` has), or a value of a wrong type
/// or range.
void read_job_file(const std::filesystem::path& path, Command command, Job& job);
/// The same for TOML text; `name` stands for the file in messages. A fuzz target.
void read_job_toml(std::string_view text, const std::string& name,
                   const std::filesystem::path& folder, Command command, Job& job);

/// What one option cannot see alone: what `command` needs and is not given, and options that
/// exclude each other. Error(kUsage).
void check_job(const Job& job, Command command);

/// All options of `command` with their effective values: one JSON object whose keys are the
/// options' names; null = not given. Stored in the result.
std::string job_to_json(const Job& job, Command command);
/// The same as a TOML job file with a comment for each option; reading it gives the same job.
std::string job_to_toml(const Job& job, Command command);

/// "1.5%" is 0.015; nothing for a text that is not a number above 0 with a % sign.
std::optional<double> parse_percent(std::string_view text);

/// The candidate that `word` was most likely meant to be (edit distance at most a third of its
/// length, at least 2; 1 for words of up to 3 letters); empty if none is near.
std::string nearest_name(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace llmpq
