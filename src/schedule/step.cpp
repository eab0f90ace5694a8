#include "schedule/step.hpp"

#include <array>

#include "kernels/check.hpp"
#include "schedule/bytes.hpp"

namespace llmpq {
namespace {

constexpr std::array<std::string_view, 3> kMixNames{"separated", "interleaved", "mixed"};

// The fields of each struct in one order, for writing and for reading alike: `archive` is called
// with every field.
template <typename Range, typename Archive>
void range_fields(Range& range, Archive&& archive) {
  archive(range.sequence, range.rows, range.position, range.blocks, range.sample);
}
constexpr size_t kRangeBytes = 8 + 3 * 4 + 1;

template <typename S, typename Archive>
void sampling_fields(S& sampling, Archive&& archive) {
  archive(sampling.max_tokens, sampling.min_tokens, sampling.temperature, sampling.top_p,
          sampling.top_k, sampling.min_p, sampling.repetition_penalty, sampling.presence_penalty,
          sampling.frequency_penalty, sampling.ignore_eos, sampling.stop_token_ids,
          sampling.logprobs);
}

template <typename Start, typename Archive>
void start_fields(Start& start, Archive&& archive) {
  archive(start.sequence, start.prompt_tokens, start.row_seed, start.sample);
  sampling_fields(start.sampling, archive);
}
constexpr size_t kStartBytes = 8 + 4 + 8 + 4 + 10 * 4 + 1 + 8 + 1;

template <typename R, typename Archive>
void result_fields(R& result, Archive&& archive) {
  archive(result.id, result.sequences, result.tokens, result.logprobs, result.top_counts,
          result.top_token_ids, result.top_logprobs, result.scores, result.divergences,
          result.same_tops);
}

void put_seed(ByteWriter& writer, const std::optional<uint64_t>& seed) {
  writer.put(seed.has_value());
  if (seed) writer.put(*seed);
}

std::optional<uint64_t> get_seed(ByteReader& reader) {
  bool given = false;
  reader.get(given);
  if (!given) return std::nullopt;
  uint64_t seed = 0;
  reader.get(seed);
  return seed;
}

StepKind get_kind(ByteReader& reader) {
  uint8_t kind = 0;
  reader.get(kind);
  CHECK(kind <= static_cast<uint8_t>(StepKind::kMixed), Exit::kMpi, "a step: kind {}, want 0 to 2",
        kind);
  return static_cast<StepKind>(kind);
}

}  // namespace

std::string_view name(Mix mix) { return kMixNames[static_cast<size_t>(mix)]; }

std::optional<Mix> parse_mix(std::string_view text) {
  for (size_t i = 0; i < kMixNames.size(); ++i)
    if (kMixNames[i] == text) return static_cast<Mix>(i);
  return std::nullopt;
}

StepShape shape_of(const Step& step, int64_t window) {
  StepShape shape;
  for (const StepRange& range : step.ranges) {
    const bool one = range.rows == 1;
    (one ? shape.decode_rows : shape.prefill_rows) += range.rows;
    (one ? shape.decode_keys : shape.prefill_keys) += keys_of(range.position, range.rows, window);
    if (!one) shape.prefill_context += range.position + range.rows;
    shape.samples += range.sample;
  }
  for (const int32_t target : step.targets) shape.samples += target >= 0;
  return shape;
}

std::vector<std::byte> pack(const Step& step) {
  ByteWriter writer;
  const auto put = [&](const auto&... fields) { (writer.put(fields), ...); };
  put(step.id, step.pipeline, static_cast<uint8_t>(step.kind), step.lane, step.tokens,
      step.block_table, step.targets, step.ends);
  writer.put(static_cast<uint64_t>(step.ranges.size()));
  for (const StepRange& range : step.ranges) range_fields(range, put);
  writer.put(static_cast<uint64_t>(step.starts.size()));
  for (const SequenceStart& start : step.starts) {
    start_fields(start, put);
    put_seed(writer, start.sampling.seed);
  }
  return writer.take();
}

Step unpack_step(std::span<const std::byte> bytes) {
  ByteReader reader(bytes, "a step");
  const auto get = [&](auto&... fields) { (reader.get(fields), ...); };
  Step step;
  get(step.id, step.pipeline);
  step.kind = get_kind(reader);
  get(step.lane, step.tokens, step.block_table, step.targets, step.ends);
  step.ranges.resize(reader.get_count(kRangeBytes));
  for (StepRange& range : step.ranges) range_fields(range, get);
  step.starts.resize(reader.get_count(kStartBytes));
  for (SequenceStart& start : step.starts) {
    start_fields(start, get);
    start.sampling.seed = get_seed(reader);
  }
  reader.finish();
  return step;
}

std::vector<std::byte> pack(const StepResult& result) {
  ByteWriter writer;
  result_fields(result, [&](const auto&... fields) { (writer.put(fields), ...); });
  return writer.take();
}

StepResult unpack_result(std::span<const std::byte> bytes) {
  ByteReader reader(bytes, "a step's result");
  StepResult result;
  result_fields(result, [&](auto&... fields) { (reader.get(fields), ...); });
  reader.finish();
  return result;
}

}  // namespace llmpq
