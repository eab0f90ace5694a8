// The list. To add an option: a field in job.hpp, a row here. Defaults stand in job.hpp.
#include "input/job_options.hpp"

#include <algorithm>

#include "input/job_binding.hpp"

namespace llmpq {
namespace {

using namespace binding;

constexpr unsigned kGenerate = bit(Command::kGenerate);
constexpr unsigned kPlan = bit(Command::kPlan);
constexpr unsigned kEval = bit(Command::kEval);
constexpr unsigned kConvert = bit(Command::kConvert);
constexpr unsigned kInspect = bit(Command::kInspect);
constexpr unsigned kCheck = bit(Command::kCheck);
constexpr unsigned kSensitivity = bit(Command::kSensitivity);
constexpr unsigned kProfile = bit(Command::kProfile);
constexpr unsigned kBench = bit(Command::kBench);
constexpr unsigned kJobs = kGenerate | kPlan | kEval;  // what a generate job is
constexpr unsigned kPlanned = kJobs | kBench;          // commands that leave formats to the plan
constexpr unsigned kChooses = kGenerate | kBench;      // commands that choose tokens
constexpr unsigned kRuns = kPlanned | kSensitivity;    // model, machine and plan of any run
constexpr unsigned kMachines = kRuns | kCheck | kProfile;
constexpr double kMaxInt32 = std::numeric_limits<int32_t>::max();

const Names<DType> kKvTypes{
    {"f32", DType::kF32}, {"bf16", DType::kBf16}, {"f16", DType::kF16}, {"int8", DType::kInt8}};
const Names<ActivationType> kActivations{{"f32", ActivationType::kF32},
                                         {"bf16", ActivationType::kBf16},
                                         {"f16", ActivationType::kF16},
                                         {"int8", ActivationType::kInt8}};
const Names<TruncatePrompt> kTruncations{{"no", TruncatePrompt::kNo},
                                         {"left", TruncatePrompt::kLeft},
                                         {"right", TruncatePrompt::kRight}};
const Names<BackendWish> kBackends{
    {"auto", BackendWish::kAuto}, {"cpu", BackendWish::kCpu}, {"cuda", BackendWish::kCuda}};
const Names<LinkWish> kLinks{
    {"auto", LinkWish::kAuto}, {"nccl", LinkWish::kNccl}, {"mpi", LinkWish::kMpi}};
const Names<GpuKernels> kGpuKernels{{"measured", GpuKernels::kMeasured},
                                    {"usual", GpuKernels::kUsual}};
const Names<LogLevel> kLogLevels{{"info", LogLevel::kInfo},
                                 {"debug", LogLevel::kDebug},
                                 {"warning", LogLevel::kWarning},
                                 {"error", LogLevel::kError}};

Names<Format> weight_formats() {
  Names<Format> names;
  for (const auto& row : kFormats) names.emplace_back(row.name, row.format);
  return names;
}

Names<Strategy> strategies() {
  Names<Strategy> names;
  for (const auto& row : kStrategies) names.emplace_back(row.name, row.strategy);
  return names;
}

std::vector<Option> files() {
  const std::string group = "Files";
  Binding inputs = single(ValueType::kPath, &Job::input);
  inputs.greedy = true;
  return {
      {"model", group, kMachines | kConvert, "DIR",
       "A Hugging Face model folder: config.json, tokenizer.json, one or more .safetensors.",
       single(ValueType::kPath, &Job::model)},
      {"prompts", group, kJobs | kSensitivity | kBench, "FILE",
       "HDF5 with /prompt (UTF-8 strings) or /prompt_token_ids/{values,row_splits}; optional /id "
       "and one column for each sampling option (/max_tokens, /temperature, ...). eval: what the "
       "plan is made for. Their texts calibrate --quantizer gptq.",
       single(ValueType::kPath, &Job::prompts)},
      {"chat", group, kRuns | kConvert, "",
       "Texts of the prompts file are chat messages as JSON: the model's chat template makes "
       "prompts "
       "of them. convert: with --to token-ids.",
       flag(&Job::chat)},
      {"input", group, kConvert, "FILE ...",
       "What to read: .jsonl, .txt, .csv, or HDF5 of ours (prompts, an output, its shards).",
       inputs},
      {"output", group, kGenerate | kConvert, "FILE",
       "Where the result goes. A file that is there already is kept, and the command ends with "
       "exit code 6, unless --overwrite (or, for generate, --resume).",
       single(ValueType::kPath, &Job::output)},
      {"to", group, kConvert, "", "What the prompts become; both ways need --model.",
       choice(&Job::to, {{"auto", ConvertTo::kAuto},
                         {"token-ids", ConvertTo::kTokenIds},
                         {"text", ConvertTo::kText}})},
      {"overwrite", group, kGenerate | kConvert, "",
       "Replace an output that exists; it stays as it is until the new one is complete.",
       flag(&Job::overwrite)},
      {"rows", group, kJobs | kSensitivity, "BEGIN:END",
       "Only these rows of the prompts file, END left out; either side may be empty. Rows keep "
       "the seeds that they have in the whole file.",
       single(ValueType::kText, &Job::rows)},
      {"shard", group, kJobs, "I/N",
       "Only the I-th (from 0) of N equal parts of the prompts file, written to "
       "OUTPUT.shard-I-of-N; convert joins them.",
       single(ValueType::kText, &Job::shard)},
      {"prompt-window", group, kGenerate, "prompts",
       "So many tokenized prompts are in memory at once, whatever the file's size.",
       integer(&Job::prompt_window, {1, 1 << 20})},
      {"text-layout", group, kGenerate, "",
       "How /text is stored: variable-length strings, or UTF-8 bytes with /text/row_splits, which "
       "HDF5 can compress.",
       choice(&Job::text_layout,
              {{"strings", TextLayout::kStrings}, {"bytes", TextLayout::kBytes}})},
      {"strict", group, kGenerate, "", "End with exit code 10 if a row failed.",
       flag(&Job::strict)},
  };
}

std::vector<Option> sampling() {
  const std::string group =
      "Sampling (a column of the same name in the prompts file wins row by row)";
  return {
      {"max-tokens", group, kJobs, "tokens", "Generate at most so many tokens for a prompt.",
       integer(&Sampling::max_tokens, {1, kMaxInt32})},
      {"min-tokens", group, kGenerate, "tokens",
       "Neither an ending token nor a stop string ends a text before so many.",
       integer(&Sampling::min_tokens, {0, kMaxInt32})},
      {"temperature", group, kChooses, "", "Divides the logits; 0 = greedy.",
       number(&Sampling::temperature, {0, 1e6})},
      {"top-p", group, kChooses, "",
       "Keep the likeliest tokens that together have this probability.",
       number(&Sampling::top_p, {0, 1, true})},
      {"top-k", group, kChooses, "", "Keep the K likeliest tokens; 0 = all.",
       integer(&Sampling::top_k, {0, kMaxInt32})},
      {"min-p", group, kChooses, "",
       "Keep the tokens that have at least this share of the likeliest one's probability.",
       number(&Sampling::min_p, {0, 1})},
      {"repetition-penalty", group, kChooses, "",
       "Makes tokens of prompt and output less likely (above 1) or more likely (below 1).",
       number(&Sampling::repetition_penalty, {0, 1e6, true})},
      {"presence-penalty", group, kChooses, "",
       "Subtracted from the logit of each token that the output has.",
       number(&Sampling::presence_penalty, {-1e6, 1e6})},
      {"frequency-penalty", group, kChooses, "",
       "Subtracted from a token's logit once for each time that the output has it.",
       number(&Sampling::frequency_penalty, {-1e6, 1e6})},
      {"seed", group, kChooses | kSensitivity, "",
       "Seed of the job; a row's own seed is made from it and the row's index in the file.",
       integer(&Job::seed, {0, 9223372036854775807.0})},
      {"stop", group, kGenerate | kEval, "TEXT", "End a text before this string. May be repeated.",
       single(ValueType::kText, &Sampling::stop)},
      {"stop-token-ids", group, kGenerate, "ID,ID,...", "End a text with one of these tokens too.",
       [] {
         Binding ids = integer(&Sampling::stop_token_ids, {0, kMaxInt32});
         ids.commas = true;
         return ids;
       }()},
      {"ignore-eos", group, kJobs, "", "Generate max-tokens tokens, whatever the model says.",
       flag(&Sampling::ignore_eos)},
      {"logprobs", group, kChooses, "",
       "1: store the chosen tokens' log probabilities; K above 1: those of the K likeliest too.",
       integer(&Sampling::logprobs, {0, 20})},
      {"num-samples", group, kJobs, "", "Generate so many texts for each prompt.",
       integer(&Job::num_samples, {1, 65536})},
      {"truncate-prompt", group, kJobs, "",
       "Cut a prompt that is too long for the context at its left or right end; no: the row fails.",
       choice(&Job::truncate_prompt, kTruncations)},
  };
}

std::vector<Option> machine() {
  const std::string group = "Model and machine";
  Binding memory = with_range(ValueType::kBytes, &Job::memory_limit, {1, 1e18});
  Binding emulated = single(ValueType::kText, &Job::emulate);
  emulated.path_key = "profile";
  return {
      {"max-model-len", group, kRuns, "tokens",
       "Longest prompt and output together; auto: the model's context.",
       integer(&Job::max_model_len, {1, kMaxInt32})},
      {"kv-cache-dtype", group, kRuns | kProfile, "",
       "Type of the KV cache; auto: the checkpoint's 16-bit type, bf16 for a float32 one.",
       choice(&Job::kv_cache_dtype, kKvTypes)},
      {"activation-dtype", group, kRuns | kProfile, "",
       "How inputs of matrix products are rounded; auto: on CPUs f32 before bf16 and f16 weights, "
       "int8 before w8, w4 and w3; on GPUs bf16, or f16 where weights or GPU have no bf16. bf16 "
       "before bf16 weights is what CPUs with AVX512_BF16 or AMX have instructions for; every CPU "
       "gives the same bits.",
       choice(&Job::activation_dtype, kActivations)},
      {"head-format", group, kRuns | kProfile, "", "Format of the output head; auto: 16 bit.",
       choice(&Job::head_format, Names<Format>{{"w8", Format::kW8}})},
      {"load-format", group, kMachines, "",
       "auto: the folder's weights; dummy: random weights of the right shapes, for timing.",
       choice(&Job::load_format, {{"auto", LoadFormat::kAuto}, {"dummy", LoadFormat::kDummy}})},
      {"backend", group, kMachines, "B|B0,B1,...",
       "What computes, on all ranks or on each; auto: a GPU where the rank sees one, else its CPU.",
       [] {
         Binding backends = choice(&Job::backend, kBackends);
         backends.commas = true;
         return backends;
       }()},
      {"share-gpu", group, kMachines, "",
       "Ranks may share a GPU; without it two ranks on one GPU are an error.",
       flag(&Job::share_gpu)},
      {"threads", group, kMachines, "threads",
       "Computing threads of each rank; auto: as many as the rank may use.",
       integer(&Job::threads, {1, 4096})},
      {"isa", group, kMachines, "", "Instruction set of the CPU kernels; auto: the best there is.",
       choice(&Job::isa, {"auto", "plain", "avx2", "vnni", "amx"})},
      {"gpu-kernels", group, kMachines, "",
       "Kernels of a GPU's products with integer weights; measured: for each matrix and number of "
       "rows the fastest, as the profile says; usual: the same on every GPU and in every run.",
       choice(&Job::gpu_kernels, kGpuKernels)},
      {"link", group, kChooses | kEval | kSensitivity | kCheck, "",
       "What carries activations; auto: NCCL where every stage has a GPU of its own, else MPI "
       "through host memory.",
       choice(&Job::link, kLinks)},
      {"emulate", group, kMachines, "SPEC",
       "Make ranks behave like other devices: none, or joined by commas memory=2GiB, sms=N (GPUs "
       "only), and for CPUs one of two clocks: profile=FILE (steps last what that profile says) or "
       "slowdown=N, prefill=N, decode=N, FORMAT.prefill=N, FORMAT.decode=N (so many times the CPU "
       "time they take). Repeated: the i-th for rank i; one alone: for all.",
       emulated},
      {"memory-limit", group, kMachines, "",
       "Most bytes that a rank may allocate (2GiB, 500MB); auto: what the machine leaves it.",
       memory},
  };
}

std::vector<Option> plan() {
  const std::string group = "Plan: which layers go where, at how many bits, in what micro-batches";
  return {
      {"plan", group, kPlanned, "FILE", "Run this plan (JSON) instead of making one.",
       single(ValueType::kPath, &Job::plan)},
      {"save-plan", group, kPlanned, "FILE", "Write the plan there.",
       single(ValueType::kPath, &Job::save_plan)},
      {"cluster", group, kPlan, "FILE|NAME",
       "Plan for the GPUs, shape and workload of a cluster file (or of data/clusters/NAME.json) "
       "instead of these ranks; needs no GPU.",
       single(ValueType::kPath, &Job::cluster)},
      {"save-problem", group, kJobs, "FILE",
       "Write the planning problem there (JSON): all that the optimizer sees.",
       single(ValueType::kPath, &Job::save_problem)},
      {"problem", group, kPlan, "FILE",
       "Solve this planning problem (JSON) instead of making one; needs no model and no machine.",
       single(ValueType::kPath, &Job::problem)},
      {"optimality-gap", group, kJobs | kBench, "",
       "A plan is good enough when it is proven to be so close to the best; 0: the best.",
       number(&Job::optimality_gap, {0, 1})},
      {"plan-time-limit", group, kJobs | kBench, "seconds",
       "Then the best plan found so far is taken, and its true gap told.",
       number(&Job::plan_time_limit, {0, 1e6})},
      {"strategy", group, kPlanned & ~kBench, "",
       "joint: the fastest plan: devices, cuts, formats, batches and mix are chosen together, by "
       "measured times (jobs that are too short to measure for are planned by memory alone); "
       "uniform: a stage of even size on every rank, one format; pipeedge, adabits, llm-pq: as "
       "planners of earlier systems would, at joint's quality; manual: exactly "
       "--layers-per-stage and --format; all (of plan): every one, side by side.",
       choice(&Job::strategy, strategies())},
      {"format", group, kPlanned | kProfile, "F|F0,F1,...",
       "Weight format of all layers, or one for each; auto: 16 bit if it fits, else the most bits "
       "that fit.",
       comma_list(choice(&Job::format, weight_formats()))},
      {"layers-per-stage", group, kRuns, "N0,N1,...",
       "Layers of each stage in the pipeline's order; auto: as equal as they can be.",
       comma_list(integer(&Job::layers_per_stage, {1, 100000}))},
      {"prefill-tokens", group, kRuns | kProfile, "tokens", "Most tokens of a prefill chunk.",
       integer(&Job::prefill_tokens, {1, 1 << 20})},
      {"decode-batch", group, kJobs | kBench | kProfile, "sequences",
       "Most sequences of a decode batch.", integer(&Job::decode_batch, {1, 1 << 20})},
      {"lanes", group, kJobs | kBench, "batches", "Decode batches in flight at once.",
       integer(&Job::lanes, {1, 4096})},
      {"kv-blocks", group, kRuns, "blocks", "KV cache blocks of the pipeline, of 16 tokens each.",
       integer(&Job::kv_blocks, {1, kMaxInt32})},
      {"mix", group, kJobs, "",
       "How prefill and decode share the pipeline: one after the other, steps of both kinds in "
       "flight, or both in one step.",
       choice(&Job::mix, {"auto", "separated", "interleaved", "mixed"})},
      {"sensitivity", group, kJobs | kBench, "FILE",
       "What llmpq sensitivity made of this model (HDF5): omega, how much each layer suffers from "
       "each format. Where 16 bit does not fit, its smallest sum that fits is taken.",
       single(ValueType::kPath, &Job::sensitivity)},
      {"theta", group, kJobs | kBench, "seconds",
       "Lower bits for speed: so many seconds of the run are worth a unit of omega (of nats of "
       "loss, if the file is calibrated).",
       number(&Job::theta, {0, 1e12})},
      {"average-bits", group, kJobs | kBench, "bits",
       "Lower bits for speed, but let the layers' weights keep so many bits on average.",
       number(&Job::average_bits, {3, 16})},
      {"max-perplexity-increase", group, kJobs | kBench, "PERCENT",
       "Lower bits for speed as far as the perplexity rises by no more than this over 16 bit "
       "(such as 1%), one standard error to spare; needs a calibrated --sensitivity file.",
       single(ValueType::kText, &Job::max_perplexity_increase)},
      {"expected-output-tokens", group, kJobs, "tokens",
       "Length of an output that the plan counts on; auto: max-tokens with --ignore-eos, else half "
       "of it at first, and the mean of the finished rows when a run goes on with them.",
       integer(&Job::expected_output_tokens, {1, kMaxInt32})},
  };
}

std::vector<Option> profile() {
  const std::string group = "Profile: how long layers take on each device";
  return {
      {"profile", group, kProfile | kJobs | kBench, "FILE",
       "Take the devices' latency models from this file instead of measuring them.",
       single(ValueType::kPath, &Job::profile)},
      {"save-profile", group, kProfile | kJobs | kBench, "FILE", "Write them there (JSON).",
       single(ValueType::kPath, &Job::save_profile)},
      {"profile-cache", group, kProfile | kJobs | kBench, "DIR",
       "Where profiles are kept for the next job; without it $XDG_CACHE_HOME/llmpq or "
       "~/.cache/llmpq.",
       single(ValueType::kPath, &Job::profile_cache)},
      {"profile-seconds", group, kProfile | kJobs | kBench, "seconds",
       "For a device that was not measured yet; with less, fewer shapes are measured. auto: 30; "
       "generate and plan take 2 or none for jobs so short that measuring would not pay.",
       number(&Job::profile_seconds, {0.1, 86400})},
      {"measure-again", group, kProfile, "", "Measure also what was kept.",
       flag(&Job::measure_again)},
  };
}

std::vector<Option> reports() {
  const std::string group = "Reports";
  return {
      {"json", group, kMachines | kInspect, "", "Print one JSON value instead of tables.",
       flag(&Job::json)},
      {"peaks", group, kCheck, "",
       "Measure what each rank can do at most: memory's speed, multiply-adds in f32 and int8 (on "
       "a GPU a copy and a large product); all ranks at the same time, 1 to 3 s.",
       flag(&Job::peaks)},
      {"timeline", group, kGenerate, "FILE",
       "Write what each stage did when, step by step, as text.",
       single(ValueType::kPath, &Job::timeline)},
      {"trace", group, kChooses, "FILE",
       "Write what every rank did when as a Chrome trace (JSON), which Perfetto and "
       "chrome://tracing show; bench: of the last run.",
       single(ValueType::kPath, &Job::trace)},
      {"log-level", group, kMachines | kConvert, "", "The least important events that are logged.",
       choice(&Job::log_level, kLogLevels)},
      {"print-config", group, kMachines, "",
       "Print all options with the values that they would have, as a job file, and end.",
       flag(&Job::print_config)},
  };
}

}  // namespace

std::string_view name(Command command) {
  constexpr std::string_view kNames[] = {"generate", "plan",        "eval",    "convert", "inspect",
                                         "check",    "sensitivity", "profile", "bench"};
  return kNames[static_cast<size_t>(command)];
}

const std::vector<Option>& options() {
  static const std::vector<Option> list = [] {
    std::vector<Option> all;
    for (auto part : {files, eval_options, life_options, sampling, machine, plan, view_options,
                      profile, quantizer_options, sensitivity_options, reports})
      for (Option& option : part()) all.push_back(std::move(option));
    for (Option& option : bench_options(all)) all.push_back(std::move(option));
    for (Option& option : all)  // check may stand in generate's place
      if (option.commands & kGenerate) option.commands |= kCheck;
    return all;
  }();
  return list;
}

std::vector<const Option*> options_of(Command command) {
  std::vector<const Option*> result;
  for (const auto& option : options())
    if (option.commands & bit(command)) result.push_back(&option);
  return result;
}

const Option* find_option(std::string_view name, Command command) {
  for (const auto* option : options_of(command))
    if (option->name == name) return option;
  return nullptr;
}

const Option* find_key(std::string_view key) {
  for (const auto& option : options())
    if ((option.commands & (kRuns | kProfile)) && option.name == key) return &option;
  return nullptr;
}

std::string did_you_mean(std::string_view name, Command command, std::string_view dashes) {
  std::vector<std::string> names;
  for (const auto* option : options_of(command)) names.push_back(option->name);
  const std::string nearest = nearest_name(name, names);
  if (!nearest.empty()) return fmt::format("did you mean {}{}?", dashes, nearest);
  return fmt::format("llmpq {} --help lists all options", llmpq::name(command));
}

}  // namespace llmpq
