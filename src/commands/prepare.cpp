#include "commands/prepare.hpp"

#include <fmt/format.h>
#include <ctime>

#include <algorithm>
#include <filesystem>

#include "base/file.hpp"
#include "base/log.hpp"
#include "commands/calibration.hpp"
#include "input/job_options.hpp"
#include "kernels/check.hpp"
#include "layer/weights.hpp"
#include "profile/links.hpp"

namespace llmpq {
namespace {

constexpr int64_t kLengthSample = 20'000;  ///< rows beyond which prompts are sampled
constexpr int64_t kBlockTokens = 16;
constexpr int64_t kLongestText = int64_t{1} << 30;  ///< bytes

int64_t context_length(const Job& job, const ModelConfig& config) {
  const int64_t wanted = job.max_model_len.value_or(config.max_positions);
  CHECK(wanted <= config.max_positions, Exit::kUsage,
        "--max-model-len {}: the model was made for {} tokens at most", wanted,
        config.max_positions);
  return wanted;
}

TruncateSide truncate_side(TruncatePrompt option) {
  switch (option) {
    case TruncatePrompt::kLeft:
      return TruncateSide::kLeft;
    case TruncatePrompt::kRight:
      return TruncateSide::kRight;
    case TruncatePrompt::kNo:
      break;
  }
  return TruncateSide::kNone;
}

FeedSetup feed_setup(const Job& job, const Input& input, RowRangeOfFile rows) {
  FeedSetup setup;
  setup.rows = rows;
  setup.num_samples = job.num_samples;
  setup.job_seed = job.seed;
  setup.defaults = job.sampling;
  setup.max_model_len = input.max_model_len;
  setup.vocab = input.checkpoint->config().vocab;
  setup.truncate = truncate_side(job.truncate_prompt);
  if (input.chat)
    setup.chat = [chat = *input.chat, now = std::time(nullptr)](std::string_view messages) {
      return chat.render(messages, now);
    };
  return setup;
}

/// Chat messages that are taken as plain texts are hardly ever meant so.
void warn_of_chats(const Job& job, const PromptsFile& prompts, RowRangeOfFile rows) {
  if (job.chat || prompts.has_token_ids() || rows.begin == rows.end) return;
  if (is_chat(prompts.read(rows.begin, 1, {})[0].text))
    log_warning(
        "{}: its texts are chat messages, and are taken as they stand; --chat makes prompts of "
        "them by the model's chat template",
        job.prompts.string());
}

void tell_ignored(const Job& job, const PromptsFile& prompts) {
  for (const std::string& name : prompts.ignored()) {
    std::string option = name;
    std::ranges::replace(option, '_', '-');
    if (find_option(option, Command::kGenerate))
      log_warning("{}: dataset {} is ignored: rows cannot have it, --{} holds for all of them",
                  job.prompts.string(), name, option);
    else
      log_info("{}: dataset {} is not known and ignored", job.prompts.string(), name);
  }
}

/// Rank 0's part: the tokenizer and the prompts.
void load_prompts(const Job& job, Input& input) {
  const auto& defaults = input.checkpoint->config().ignored_generation_defaults;
  if (!defaults.empty())
    log_info("generation_config.json has {}: not applied, the job's options hold",
             fmt::format("{}", fmt::join(defaults, ", ")));
  const auto tokenizer_file = job.model / "tokenizer.json";
  if (is_there(tokenizer_file, Exit::kModel)) input.tokenizer = Tokenizer::load(tokenizer_file);
  if (job.chat) input.chat = ChatTemplate::load(job.model);
  RowRangeOfFile rows;
  if (!job.prompts.empty()) {
    input.prompts = PromptsFile::open(job.prompts);
    tell_ignored(job, *input.prompts);
    rows = select_rows(input.prompts->rows(), job.rows, job.shard);
    warn_of_chats(job, *input.prompts, rows);
  }
  input.feed = feed_setup(job, input, rows);
  if (!input.prompts) return;
  CHECK(input.tokenizer || input.prompts->has_token_ids(), Exit::kModel,
        "{}: there is no tokenizer.json, and {} holds texts; give token ids (llmpq convert) or the "
        "tokenizer",
        job.model.string(), job.prompts.string());
  CHECK(!job.chat || !input.prompts->has_token_ids(), Exit::kPrompts,
        "{}: holds token ids; --chat is for chat messages as JSON text", job.prompts.string());
  input.lengths =
      measure_lengths(*input.prompts, input.tokenizer_or_null(), input.feed, kLengthSample);
}

}  // namespace

std::unique_ptr<Checkpoint> open_model(const Job& job) {
  if (job.load_format == LoadFormat::kDummy)
    return make_dummy_checkpoint(load_model_config(job.model));
  return open_checkpoint(job.model);
}

DType kv_cache_type(const Job& job, const ModelConfig& config) {
  return job.kv_cache_dtype.value_or(format_16bit(config) == Format::kF16 ? DType::kF16
                                                                          : DType::kBf16);
}

Input load_input(const Mpi& mpi, const Job& job) {
  Input input;
  mpi.agreed([&] {
    input.checkpoint = open_model(job);
    const ModelConfig& config = input.checkpoint->config();
    input.max_model_len = context_length(job, config);
    input.kv_type = kv_cache_type(job, config);
  });
  mpi.agreed_on_long([&] {
    if (mpi.rank() != 0) return;
    load_prompts(job, input);
    if (job.quantizer == Quantizer::kGptq) input.calibration = calibration_texts(job, input);
  });
  return input;
}

std::vector<int32_t> file_tokens(const Job& job, const Input& input, const TextFile& file) {
  CHECK(input.tokenizer, Exit::kModel, "{}: {} needs the model's tokenizer.json",
        job.model.string(), file.what);
  std::vector<int32_t> tokens =
      input.tokenizer->encode(read_file(file.path, kLongestText, Exit::kPrompts));
  CHECK(tokens.size() >= 2, Exit::kPrompts, "{}: {} tokens, want at least 2 {}", file.path.string(),
        tokens.size(), file.use);
  return tokens;
}

namespace {

/// Whether any stages that the plan may make of these ranks are linked from GPU to GPU.
bool may_link_devices(const Job& job, const Machines& machines) {
  std::vector<LinkedStage> all;
  for (const RankReport& rank : machines.inventory)
    all.push_back({rank.rank, rank.backend, rank.uuid, rank.why_no_links});
  const LinkWish wish = job.link == LinkWish::kMpi ? LinkWish::kMpi : LinkWish::kAuto;
  return choose_link(wish, all).kind == LinkKind::kNccl;
}

}  // namespace

PlanWishes plan_wishes(const Job& job) {
  return {.formats = job.format,
          .layers_per_stage = job.layers_per_stage,
          .head_format = job.head_format,
          .prefill_tokens = job.prefill_tokens,
          .decode_batch = job.decode_batch,
          .lanes = job.lanes,
          .kv_blocks = job.kv_blocks,
          .mix = parse_mix(job.mix)};  // "auto" is no mix: open
}

PlanRequest plan_request(const Job& job, const Input& input, const Machines& machines) {
  PlanRequest request{.model = (job.model / "").parent_path().filename().string(),
                      .config = input.checkpoint->config(),
                      .ranks = {},
                      .device_links = may_link_devices(job, machines),
                      .max_model_len = input.max_model_len,
                      .kv_type = input.kv_type,
                      .kv_block_tokens = kBlockTokens,
                      .workload = {},
                      .wishes = {}};
  for (const RankReport& rank : machines.inventory)
    request.ranks.push_back({rank.memory_bytes, rank.device + " on " + rank.host, rank.backend,
                             rank.compute_capability});
  request.workload.sequences = input.lengths.rows * job.num_samples;
  request.workload.max_sequence_tokens =
      input.lengths.rows > 0 ? input.lengths.longest_sequence : input.max_model_len;
  request.wishes = plan_wishes(job);
  return request;
}

}  // namespace llmpq
