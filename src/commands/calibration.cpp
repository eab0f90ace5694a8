#include "commands/calibration.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cstring>
#include <span>

#include "base/file.hpp"
#include "base/hash.hpp"
#include "base/log.hpp"
#include "base/pieces.hpp"
#include "kernels/check.hpp"
#include "layer/memory.hpp"
#include "plan/describe.hpp"

namespace llmpq {
namespace {

constexpr int64_t kWindow = 2048;  ///< tokens of a calibration text at most
constexpr int kTag = 9;            ///< transfers and clocks have 7 and 8

/// Consecutive windows of the text.
Texts file_texts(const Job& job, const Input& input, int64_t window) {
  std::vector<int32_t> tokens =
      file_tokens(job, input, {job.calibration_text, "--calibration-text", "to calibrate with"});
  tokens.resize(std::min(tokens.size(), static_cast<size_t>(job.calibration_tokens)));
  Texts texts;
  for (size_t begin = 0; begin < tokens.size(); begin += static_cast<size_t>(window)) {
    const size_t end = std::min(tokens.size(), begin + static_cast<size_t>(window));
    texts.emplace_back(tokens.begin() + static_cast<std::ptrdiff_t>(begin),
                       tokens.begin() + static_cast<std::ptrdiff_t>(end));
  }
  return texts;
}

/// Rank 0's texts on every rank: lengths, then tokens. Collective.
Texts broadcast_texts(const Mpi& mpi, const Texts& mine) {
  std::vector<int32_t> flat{static_cast<int32_t>(mine.size())};
  for (const auto& text : mine) flat.push_back(static_cast<int32_t>(text.size()));
  for (const auto& text : mine) flat.insert(flat.end(), text.begin(), text.end());
  std::vector<std::byte> bytes(flat.size() * sizeof(int32_t));
  std::memcpy(bytes.data(), flat.data(), bytes.size());
  mpi.broadcast(bytes);
  flat.resize(bytes.size() / sizeof(int32_t));
  std::memcpy(flat.data(), bytes.data(), bytes.size());
  Texts texts(static_cast<size_t>(flat.at(0)));
  size_t at = 1 + texts.size();
  for (size_t i = 0; i < texts.size(); ++i) {
    const auto size = static_cast<size_t>(flat.at(1 + i));
    const auto begin = flat.begin() + static_cast<std::ptrdiff_t>(at);
    texts[i].assign(begin, begin + static_cast<std::ptrdiff_t>(size));
    at += size;
  }
  return texts;
}

/// The hidden states go from one rank to another.
void send_hidden(const Mpi& mpi, int to, std::vector<float>& hidden) {
  const auto bytes = std::as_bytes(std::span(hidden));
  send_pieces(mpi, to, kTag, std::ssize(bytes), [&](int64_t begin, std::span<std::byte> piece) {
    std::memcpy(piece.data(), bytes.data() + begin, piece.size());
  });
  hidden = {};
}

void receive_hidden(const Mpi& mpi, int from, std::vector<float>& hidden) {
  const auto bytes = std::as_writable_bytes(std::span(hidden));
  receive_pieces(mpi, from, kTag, std::ssize(bytes),
                 [&](int64_t begin, std::span<const std::byte> piece) {
                   std::memcpy(bytes.data() + begin, piece.data(), piece.size());
                 });
}

/// The layer that is being rounded is there in 16 bits besides; when the head comes, that one is
/// gone.
int64_t weights_while_calibrated(const StageSetup& setup, const ModelConfig& config,
                                 BackendKind kind) {
  const StagePlan& stage = setup.plan;
  int64_t bytes = stage.layer_begin == 0 ? embedding_bytes(config, kind) : 0;
  for (const Format format : stage.formats) bytes += layer_bytes(config, format, kind);
  const int64_t head =
      stage.layer_end == config.layers ? head_bytes(config, setup.head_format, kind) : 0;
  return bytes + std::max(head, layer_bytes(config, format_16bit(config), kind));
}

/// On the device; a CPU's is the host, which has the rest to hold too.
int64_t bytes_besides(const StageSetup& setup, const ModelConfig& config,
                      const CalibrationState& state, const RankReport& rank) {
  return rank.backend == BackendKind::kCpu
             ? calibration_bytes(config, tokens_in(state.texts), rank.threads)
             : calibration_device_bytes(config, state.texts, setup.sizes.max_model_len,
                                        rank.backend);
}

}  // namespace

Texts prompt_texts(const Job& job, const Input& input, const FeedSetup& setup, int64_t window,
                   int64_t most) {
  Feed feed(*input.prompts, input.tokenizer_or_null(), setup);
  Texts texts;
  while (!feed.at_end() && most > 0)
    for (Request& request : feed.read(64).requests) {
      auto& tokens = request.prompt;
      const auto keep = std::min({static_cast<int64_t>(tokens.size()), window, most});
      if (keep < 2) continue;
      tokens.resize(static_cast<size_t>(keep));
      most -= keep;
      texts.push_back(std::move(tokens));
    }
  CHECK(!texts.empty(), Exit::kPrompts, "{}: no prompt has as many as two tokens",
        job.prompts.string());
  return texts;
}

Texts calibration_texts(const Job& job, const Input& input) {
  const int64_t window = std::min(kWindow, input.max_model_len);
  if (!job.calibration_text.empty()) return file_texts(job, input, window);
  if (!input.prompts) return {};  // a command that loads no weights needs none
  FeedSetup setup = input.feed;
  setup.rows = {0, input.prompts->rows()};
  setup.num_samples = 1;
  setup.truncate = TruncateSide::kRight;
  return prompt_texts(job, input, setup, window, job.calibration_tokens);
}

std::string quantizer_print(const Job& job, const Input& input) {
  if (job.quantizer == Quantizer::kRtn) return "rtn";
  Hasher hasher;
  for (const auto& text : input.calibration) {
    hasher.add(static_cast<int64_t>(text.size()));
    hasher.add(std::span<const int32_t>(text));
  }
  return fmt::format("gptq, calibrated on {} tokens with the hash {:016x}",
                     tokens_in(input.calibration), hasher.value());
}

bool is_calibrated(const Job& job, const Plan& plan) {
  const auto formats = layer_formats(plan);
  return job.quantizer == Quantizer::kGptq &&
         !(is_16bit(plan.head_format) && std::ranges::all_of(formats, is_16bit));
}

int64_t end_of_integers(const Plan& plan) {
  const auto formats = layer_formats(plan);
  if (!is_16bit(plan.head_format)) return std::ssize(formats) + 1;
  const auto last = std::find_if_not(formats.rbegin(), formats.rend(), is_16bit);
  return formats.rend() - last;
}

void load_in_turn(const Mpi& mpi, const Plan& plan, const Input& input,
                  const CalibratedLoading& loading) {
  mpi.agreed([&] {
    CHECK(mpi.rank() != 0 || !input.calibration.empty(), Exit::kUsage,
          "--quantizer gptq needs texts to calibrate with: give --calibration-text FILE or "
          "--prompts FILE");
  });
  CalibrationState state{broadcast_texts(mpi, input.calibration), {}};
  const int64_t tokens = tokens_in(state.texts), end = end_of_integers(plan);
  if (mpi.rank() == 0)
    log_info("gptq: {} texts of {} tokens calibrate the layers while they are loaded",
             state.texts.size(), tokens);
  const auto& stages = plan.pipelines.at(0).stages;
  mpi.agreed([&] {
    for (const StagePlan& stage : stages)
      if (stage.ranks.at(0) == mpi.rank() && stage.layer_begin < end) loading.check(state);
  });
  for (size_t i = 0; i < stages.size(); ++i) {
    const int rank = stages[i].ranks.at(0);
    mpi.agreed_on_long([&] {
      if (mpi.rank() == rank) loading.load(stages[i].layer_begin < end ? &state : nullptr);
    });
    if (i + 1 == stages.size() || stages[i + 1].layer_begin >= end) continue;
    const int next = stages[i + 1].ranks.at(0);
    if (mpi.rank() == rank) send_hidden(mpi, next, state.hidden);
    if (mpi.rank() != next) continue;
    state.hidden.resize(static_cast<size_t>(tokens * input.checkpoint->config().hidden));
    receive_hidden(mpi, rank, state.hidden);
  }
}

void check_calibration_fits(const StageSetup& setup, const ModelConfig& config,
                            const CalibrationState& state, const RankReport& rank) {
  const int64_t weights = weights_while_calibrated(setup, config, rank.backend);
  const int64_t besides = bytes_besides(setup, config, state, rank);
  CHECK(weights + besides <= rank.memory_bytes, Exit::kNoPlan,
        "--quantizer gptq needs {} on rank {} while layers are loaded, {} of it for calibrating, "
        "and the rank has {}: give fewer --calibration-tokens or more ranks, or take --quantizer "
        "rtn",
        bytes_text(weights + besides), rank.rank, bytes_text(besides),
        bytes_text(rank.memory_bytes));
}

}  // namespace llmpq
