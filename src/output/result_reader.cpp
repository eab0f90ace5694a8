#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/hdf5.hpp"
#include "base/json.hpp"
#include "output/result.hpp"
#include "output/result_layout.hpp"

namespace llmpq {
namespace {

constexpr auto kCode = Exit::kOutput;

bool has_result_format(const h5::File& file) {
  return file.has_attribute("format") && file.text_attribute("format") == kResultFormat;
}

ResultHead read_head(const h5::File& file) {
  CHECK(has_result_format(file), kCode, "{}: not an output of llmpq", file.name());
  const h5::Group run = file.group("run");
  ResultHead head;
  head.rows = {run.integer_attribute("row_begin"), run.integer_attribute("row_end")};
  head.num_samples = static_cast<int32_t>(run.integer_attribute("num_samples"));
  head.logprobs = static_cast<int32_t>(run.integer_attribute("logprobs"));
  head.text_as_bytes = !file.is_dataset("text");
  head.job = run.text_attribute("job");
  head.profile = run.text_attribute("profile");
  head.versions = run.text_attribute("versions");
  head.times = run.text_attribute("times");
  if (run.has_attribute("fingerprint")) head.fingerprint = run.text_attribute("fingerprint");
  const auto plans = parse_json(run.text_attribute("plans"), file.name() + ":/run@plans", kCode);
  CHECK(plans.is_array(), kCode, "{}:/run@plans: want a JSON array", file.name());
  for (const auto& plan : plans) head.plans.push_back(dump_json(plan));
  return head;
}

h5::Dataset column(const h5::File& file, const char* name, int64_t rows) {
  h5::Dataset dataset = file.dataset(name);
  CHECK(dataset.shape().size() == 1 && dataset.rows() == rows, kCode, "{}: want {} rows, found {}",
        dataset.name(), rows, dataset.rows());
  return dataset;
}

/// Values of rows of different lengths.
struct Ragged {
  h5::Dataset values;
  h5::Dataset splits;

  Ragged(const h5::File& file, const char* group_name, int64_t rows)
      : values(file.group(group_name).dataset("values")),
        splits(file.group(group_name).dataset("row_splits")) {
    CHECK(splits.shape().size() == 1 && splits.rows() == rows + 1, kCode,
          "{}: want {} splits, found {}", splits.name(), rows + 1, splits.rows());
  }

  std::vector<int64_t> read_splits(int64_t begin, int64_t count) const {
    auto found = splits.read<int64_t>(begin, count + 1);
    CHECK(std::ranges::is_sorted(found) && found[0] >= 0 && found.back() <= values.rows(), kCode,
          "{}: the splits of rows {} to {} do not fit the values", splits.name(), begin,
          begin + count);
    return found;
  }
};

/// Gives row i values[splits[i], splits[i + 1]) times `width`.
template <typename T, typename Take>
void read_ragged(const h5::Dataset& values, const std::vector<int64_t>& splits, Take&& take) {
  const int64_t width = values.row_values();
  const auto all = values.read<T>(splits[0], splits.back() - splits[0]);
  for (size_t i = 0; i + 1 < splits.size(); ++i) {
    take(i, std::span(all).subspan(static_cast<size_t>((splits[i] - splits[0]) * width),
                                   static_cast<size_t>((splits[i + 1] - splits[i]) * width)));
  }
}

FinishReason parse_reason(const std::string& text, const std::string& where) {
  for (const auto reason : {FinishReason::kStop, FinishReason::kLength, FinishReason::kError}) {
    if (text == name(reason)) return reason;
  }
  fail(kCode, "{}: '{}' is no finish reason", where, text);
}

}  // namespace

struct ResultReader::Impl {
  h5::File file;
  ResultHead head;
  int64_t rows;
  h5::Dataset finish_reason, stop_reason, status, error, id;
  h5::Dataset prompt_tokens, plan_index;
  Ragged tokens;
  std::optional<h5::Dataset> text;
  std::optional<Ragged> text_bytes, logprobs;
  std::optional<h5::Dataset> top_ids, top_logprobs;

  explicit Impl(const std::filesystem::path& path)
      : file(h5::File::open(path, h5::File::Mode::kRead, kCode)),
        head(read_head(file)),
        rows(file.dataset(kStatus.name).rows()),
        finish_reason(column(file, kFinishReason.name, rows)),
        stop_reason(column(file, kStopReason.name, rows)),
        status(column(file, kStatus.name, rows)),
        error(column(file, kError.name, rows)),
        id(column(file, kId.name, rows)),
        prompt_tokens(column(file, "prompt_tokens", rows)),
        plan_index(column(file, "plan_index", rows)),
        tokens(file, "token_ids", rows) {
    const int64_t wanted = (head.rows.end - head.rows.begin) * head.num_samples;
    CHECK(rows == wanted, kCode, "{}: has {} rows, but says that it holds {}", file.name(), rows,
          wanted);
    if (head.text_as_bytes) {
      text_bytes.emplace(file, "text", rows);
    } else {
      text = column(file, "text", rows);
    }
    if (head.logprobs > 0) logprobs.emplace(file, "logprobs", rows);
    if (head.logprobs > 1) {
      top_ids = file.group("top_logprobs").dataset("token_ids");
      top_logprobs = file.group("top_logprobs").dataset("values");
    }
  }

  void read_columns(int64_t begin, std::vector<FinishedRow>& found) const {
    const auto count = static_cast<int64_t>(found.size());
    const auto reasons = finish_reason.read_text(begin, count);
    auto stops = stop_reason.read_text(begin, count);
    auto errors = error.read_text(begin, count);
    const auto prompts = prompt_tokens.read<int32_t>(begin, count);
    const auto plans = plan_index.read<int32_t>(begin, count);
    for (size_t i = 0; i < found.size(); ++i) {
      const int64_t position = begin + static_cast<int64_t>(i);
      found[i].row = head.rows.begin + position / head.num_samples;
      found[i].sample = static_cast<int32_t>(position % head.num_samples);
      found[i].finish_reason = parse_reason(reasons[i], finish_reason.name());
      found[i].stop_reason = std::move(stops[i]);
      found[i].error = std::move(errors[i]);
      found[i].prompt_tokens = prompts[i];
      found[i].plan_index = plans[i];
    }
  }

  void read_values(int64_t begin, std::vector<FinishedRow>& found) const {
    const auto count = static_cast<int64_t>(found.size());
    const auto splits = tokens.read_splits(begin, count);
    const auto read_tokens = [&]<typename T>(const h5::Dataset& values,
                                             std::vector<T> FinishedRow::*field) {
      read_ragged<T>(values, splits, [&](size_t i, std::span<const T> row) {
        (found[i].*field).assign(row.begin(), row.end());
      });
    };
    read_tokens(tokens.values, &FinishedRow::token_ids);
    if (logprobs) read_tokens(logprobs->values, &FinishedRow::logprobs);
    if (top_ids) read_tokens(*top_ids, &FinishedRow::top_token_ids);
    if (top_logprobs) read_tokens(*top_logprobs, &FinishedRow::top_logprobs);
  }

  void read_texts(int64_t begin, std::vector<FinishedRow>& found) const {
    const auto count = static_cast<int64_t>(found.size());
    if (text) {
      auto texts = text->read_text(begin, count);
      for (size_t i = 0; i < found.size(); ++i) found[i].text = std::move(texts[i]);
      return;
    }
    read_ragged<uint8_t>(text_bytes->values, text_bytes->read_splits(begin, count),
                         [&](size_t i, std::span<const uint8_t> bytes) {
                           found[i].text.assign(bytes.begin(), bytes.end());
                         });
  }
};

ResultReader::ResultReader(const std::filesystem::path& path)
    : impl_(std::make_unique<Impl>(path)) {}
ResultReader::~ResultReader() = default;

const ResultHead& ResultReader::head() const { return impl_->head; }
const std::string& ResultReader::name() const { return impl_->file.name(); }
int64_t ResultReader::rows() const { return impl_->rows; }

std::vector<FinishedRow> ResultReader::read(int64_t begin, int64_t count) const {
  std::vector<FinishedRow> found(static_cast<size_t>(count));
  if (count == 0) return found;
  impl_->read_columns(begin, found);
  impl_->read_values(begin, found);
  impl_->read_texts(begin, found);
  return found;
}

std::vector<std::string> ResultReader::read_ids(int64_t begin, int64_t count) const {
  return impl_->id.read_text(begin, count);
}

int64_t ResultReader::count_failed() const {
  constexpr int64_t kWindow = 65536;
  int64_t failed = 0;
  for (int64_t begin = 0; begin < rows(); begin += kWindow) {
    const auto statuses = impl_->status.read_text(begin, std::min(kWindow, rows() - begin));
    failed += std::ranges::count(statuses, "failed");
  }
  return failed;
}

bool is_result(const std::filesystem::path& path) {
  if (!h5::is_hdf5(path)) return false;
  try {
    return has_result_format(h5::File::open(path, h5::File::Mode::kRead, kCode));
  } catch (const Error&) {
    return false;
  }
}

}  // namespace llmpq
