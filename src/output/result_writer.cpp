#include <numeric>
#include <optional>

#include "base/hdf5.hpp"
#include "base/json.hpp"
#include "output/result.hpp"
#include "output/result_layout.hpp"

#include <nlohmann/json.hpp>

namespace llmpq {
namespace {

constexpr auto kCode = Exit::kOutput;
constexpr int64_t kChunkRows = 4096;
constexpr int64_t kChunkTokens = 16384;

template <typename T>
h5::DatasetSpec numbers(int64_t chunk_rows, std::vector<int64_t> inner = {}) {
  return {h5::value_type<T>(), chunk_rows, std::move(inner)};
}

/// Rows of different lengths: the values one after the other, and where each row begins.
template <typename T>
class Ragged {
 public:
  Ragged(h5::Group group)
      : values_(group.create_dataset("values", numbers<T>(kChunkTokens))),
        splits_(group.create_dataset("row_splits", numbers<int64_t>(kChunkRows))) {
    splits_.write<int64_t>(0, std::array<int64_t, 1>{0});
  }

  /// `field(row)` is a range of T.
  template <typename Field>
  void append(std::span<const FinishedRow> rows, Field&& field) {
    std::vector<T> values;
    std::vector<int64_t> splits;
    for (const FinishedRow& row : rows) {
      values.insert(values.end(), field(row).begin(), field(row).end());
      splits.push_back(values_.rows() + static_cast<int64_t>(values.size()));
    }
    values_.write(values_.rows(), std::span<const T>(values));
    splits_.write(splits_.rows(), std::span<const int64_t>(splits));
  }

 private:
  h5::Dataset values_;
  h5::Dataset splits_;
};

template <typename T, typename Field>
void append_numbers(h5::Dataset& dataset, std::span<const FinishedRow> rows, Field&& field) {
  std::vector<T> values;
  for (const FinishedRow& row : rows) values.push_back(field(row));
  dataset.write(dataset.rows(), std::span<const T>(values));
}

template <typename Field>
void append_texts(h5::Dataset& dataset, std::span<const FinishedRow> rows, Field&& field) {
  std::vector<std::string> texts;
  for (const FinishedRow& row : rows) texts.emplace_back(field(row));
  dataset.write_text(dataset.rows(), texts);
}

bool has_failed(const FinishedRow& row) { return row.finish_reason == FinishReason::kError; }

void write_head(h5::File& file, const ResultHead& head) {
  file.set_attribute("format", kResultFormat);
  h5::Group run = file.create_group("run");
  run.set_attribute("job", head.job);
  run.set_attribute("profile", head.profile);
  run.set_attribute("versions", head.versions);
  run.set_attribute("times", head.times);
  run.set_attribute("fingerprint", head.fingerprint);
  nlohmann::json plans = nlohmann::json::array();
  for (const std::string& plan : head.plans) plans.push_back(parse_json(plan, "plan", kCode));
  run.set_attribute("plans", dump_json(plans));
  run.set_attribute("row_begin", head.rows.begin);
  run.set_attribute("row_end", head.rows.end);
  run.set_attribute("num_samples", head.num_samples);
  run.set_attribute("logprobs", head.logprobs);
}

h5::Dataset text_column(h5::File& file, const ResultText& column) {
  return file.create_dataset(column.name, {h5::text_type(column.fixed_bytes), kChunkRows, {}});
}

}  // namespace

std::string_view name(FinishReason reason) {
  switch (reason) {
    case FinishReason::kStop:
      return "stop";
    case FinishReason::kLength:
      return "length";
    case FinishReason::kError:
      return "error";
  }
  return "?";
}

struct ResultWriter::Impl {
  h5::File file;
  ResultHead head;
  int64_t written = 0;
  h5::Dataset finish_reason, stop_reason, status, error, id;
  h5::Dataset prompt_tokens, completion_tokens, plan_index;
  Ragged<int32_t> tokens;
  std::optional<h5::Dataset> text;
  std::optional<Ragged<uint8_t>> text_bytes;
  std::optional<Ragged<float>> logprobs;
  std::optional<h5::Dataset> top_ids, top_logprobs;

  Impl(const std::filesystem::path& path, const ResultHead& result)
      : file(h5::File::create(path, false, kCode)),
        head(result),
        finish_reason(text_column(file, kFinishReason)),
        stop_reason(text_column(file, kStopReason)),
        status(text_column(file, kStatus)),
        error(text_column(file, kError)),
        id(text_column(file, kId)),
        prompt_tokens(file.create_dataset("prompt_tokens", numbers<int32_t>(kChunkRows))),
        completion_tokens(file.create_dataset("completion_tokens", numbers<int32_t>(kChunkRows))),
        plan_index(file.create_dataset("plan_index", numbers<int32_t>(kChunkRows))),
        tokens(file.create_group("token_ids")) {
    write_head(file, head);
    if (head.text_as_bytes) {
      text_bytes.emplace(file.create_group("text"));
    } else {
      text = text_column(file, {"text", 0});
    }
    if (head.logprobs > 0) logprobs.emplace(file.create_group("logprobs"));
    if (head.logprobs > 1) {
      h5::Group top = file.create_group("top_logprobs");
      const int64_t chunk = std::max<int64_t>(1, kChunkTokens / head.logprobs);
      top_ids = top.create_dataset("token_ids", numbers<int32_t>(chunk, {head.logprobs}));
      top_logprobs = top.create_dataset("values", numbers<float>(chunk, {head.logprobs}));
    }
  }

  void append_columns(std::span<const FinishedRow> rows) {
    append_texts(finish_reason, rows, [](const auto& row) { return name(row.finish_reason); });
    append_texts(stop_reason, rows, [](const auto& row) { return row.stop_reason; });
    append_texts(status, rows, [](const auto& row) { return has_failed(row) ? "failed" : "ok"; });
    append_texts(error, rows, [](const auto& row) { return row.error; });
    append_numbers<int32_t>(prompt_tokens, rows, [](const auto& row) { return row.prompt_tokens; });
    append_numbers<int32_t>(completion_tokens, rows, [](const auto& row) {
      return has_failed(row) ? -1 : static_cast<int32_t>(row.token_ids.size());
    });
    append_numbers<int32_t>(plan_index, rows, [](const auto& row) { return row.plan_index; });
  }

  void append_values(std::span<const FinishedRow> rows) {
    tokens.append(
        rows, [](const auto& row) -> const auto& { return row.token_ids; });
    if (text) append_texts(*text, rows, [](const auto& row) { return row.text; });
    if (text_bytes) {
      text_bytes->append(
          rows, [](const auto& row) -> const auto& { return row.text; });
    }
    if (logprobs)
      logprobs->append(
          rows, [](const auto& row) -> const auto& { return row.logprobs; });
    if (!top_ids) return;
    for (const FinishedRow& row : rows) {
      top_ids->write(top_ids->rows(), std::span<const int32_t>(row.top_token_ids));
      top_logprobs->write(top_logprobs->rows(), std::span<const float>(row.top_logprobs));
    }
  }
};

ResultWriter::ResultWriter(const std::filesystem::path& path, const ResultHead& head)
    : impl_(std::make_unique<Impl>(path, head)) {}
ResultWriter::~ResultWriter() = default;

void ResultWriter::append(std::span<const FinishedRow> rows, std::span<const std::string> ids) {
  CHECK(rows.size() == ids.size(), Exit::kInternal, "{} rows come with {} ids", rows.size(),
        ids.size());
  impl_->append_columns(rows);
  impl_->append_values(rows);
  impl_->id.write_text(impl_->id.rows(), ids);
  impl_->written += static_cast<int64_t>(rows.size());
}

void ResultWriter::finish() {
  const ResultHead& head = impl_->head;
  const int64_t wanted = (head.rows.end - head.rows.begin) * head.num_samples;
  CHECK(impl_->written == wanted, Exit::kInternal, "{}: {} rows were written, want {}",
        impl_->file.name(), impl_->written, wanted);
  impl_->file.sync();
}

}  // namespace llmpq
