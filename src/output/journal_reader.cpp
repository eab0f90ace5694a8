#include "output/journal_reader.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <numeric>

namespace llmpq {
namespace {

constexpr auto kCode = Exit::kOutput;
constexpr int64_t kWindow = 4096;

/// Some rows of a stream.
struct Part {
  int64_t begin = 0;
  int64_t count = 0;
};

/// Reads parts of a stream, in any order, with few reads: neighbours are read together. `take(i,
/// values)` gets part i.
template <typename T, typename Take>
void read_parts(const h5::Dataset& stream, const std::vector<Part>& parts, Take&& take) {
  constexpr int64_t kGap = 4096;  // rows that are cheaper to read than to seek over
  constexpr int64_t kMostRows = 1 << 20;
  const auto width = static_cast<size_t>(stream.row_values());
  std::vector<size_t> order(parts.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::sort(order, {}, [&](size_t i) { return parts[i].begin; });
  for (size_t first = 0; first < order.size();) {
    const int64_t begin = parts[order[first]].begin;
    int64_t end = begin + parts[order[first]].count;
    size_t last = first + 1;
    for (; last < order.size(); ++last) {
      const Part& next = parts[order[last]];
      if (next.begin > end + kGap || next.begin + next.count - begin > kMostRows) break;
      end = std::max(end, next.begin + next.count);
    }
    const std::vector<T> values = stream.read<T>(begin, end - begin);
    for (; first < last; ++first) {
      const Part& part = parts[order[first]];
      take(order[first], std::span(values).subspan(static_cast<size_t>(part.begin - begin) * width,
                                                   static_cast<size_t>(part.count) * width));
    }
  }
}

RowRecord record_of(std::span<const int64_t> fields) {
  std::array<int64_t, kRowFields> copy{};
  std::ranges::copy(fields, copy.begin());
  return std::bit_cast<RowRecord>(copy);
}

bool fits(int64_t begin, int64_t count, int64_t end) {
  return begin >= 0 && count >= 0 && begin <= end && count <= end - begin;
}

}  // namespace

void JournalRows::check(const RowRecord& r) const {
  const bool sizes = std::max({r.text_bytes, r.stop_bytes, r.error_bytes}) < int64_t{1} << 40 &&
                     std::min({r.text_bytes, r.stop_bytes, r.error_bytes}) >= 0;
  const bool sane =
      sizes && r.finish_reason >= 0 && r.finish_reason <= 2 &&
      fits(r.bytes_begin, r.text_bytes + r.stop_bytes + r.error_bytes, committed_.ends[kBytes]) &&
      fits(r.tokens_begin, r.tokens, committed_.ends[kTokens]) &&
      (file_.head().logprobs == 0 || r.tokens_begin + r.tokens <= committed_.ends[kLogprobs]) &&
      (file_.head().logprobs < 2 || r.tokens_begin + r.tokens <= committed_.ends[kTopIds]);
  CHECK(sane, kCode, "{}: the record of row {} points outside: the file is torn or foreign",
        file_.name(), r.row);
}

std::vector<int64_t> JournalRows::output_positions() const {
  const JournalHead& head = file_.head();
  std::vector<int64_t> positions;
  std::vector<bool> seen(static_cast<size_t>(head.outputs()), false);
  for (int64_t begin = 0; begin < count(); begin += kWindow) {
    std::vector<int64_t> indices(static_cast<size_t>(std::min(kWindow, count() - begin)));
    std::iota(indices.begin(), indices.end(), begin);
    for (const RowRecord& r : records(indices)) {
      const bool inside = r.row >= head.rows.begin && r.row < head.rows.end && r.sample >= 0 &&
                          r.sample < head.num_samples;
      const int64_t position = (r.row - head.rows.begin) * head.num_samples + r.sample;
      CHECK(inside && !seen[static_cast<size_t>(position)], kCode,
            "{}: row {} sample {} is there twice or not of this job: the file is torn or foreign",
            file_.name(), r.row, r.sample);
      seen[static_cast<size_t>(position)] = true;
      positions.push_back(position);
    }
  }
  return positions;
}

std::vector<std::string> JournalRows::plans() const {
  std::vector<std::string> plans;
  const auto places = file_.stream(kPlans).read<int64_t>(0, committed_.ends[kPlans]);
  for (size_t i = 0; i < places.size(); i += 2) {
    CHECK(fits(places[i], places[i + 1], committed_.ends[kBytes]), kCode,
          "{}: plan {} lies outside the file: it is torn or foreign", file_.name(), i / 2);
    const auto bytes = file_.stream(kBytes).read<uint8_t>(places[i], places[i + 1]);
    plans.emplace_back(bytes.begin(), bytes.end());
  }
  return plans;
}

std::vector<RowRecord> JournalRows::records(std::span<const int64_t> indices) const {
  std::vector<Part> parts;
  for (const int64_t index : indices) parts.push_back({index, 1});
  std::vector<RowRecord> found(indices.size());
  read_parts<int64_t>(file_.stream(kRows), parts, [&](size_t i, std::span<const int64_t> fields) {
    found[i] = record_of(fields);
    check(found[i]);
  });
  return found;
}

std::vector<FinishedRow> JournalRows::rows(std::span<const RowRecord> records) const {
  std::vector<FinishedRow> rows(records.size());
  std::vector<Part> bytes, tokens;
  for (size_t i = 0; i < records.size(); ++i) {
    const RowRecord& r = records[i];
    rows[i].row = r.row;
    rows[i].sample = static_cast<int32_t>(r.sample);
    rows[i].finish_reason = static_cast<FinishReason>(r.finish_reason);
    rows[i].prompt_tokens = static_cast<int32_t>(r.prompt_tokens);
    rows[i].plan_index = static_cast<int32_t>(r.plan_index);
    bytes.push_back({r.bytes_begin, r.text_bytes + r.stop_bytes + r.error_bytes});
    tokens.push_back({r.tokens_begin, r.tokens});
  }
  read_parts<uint8_t>(file_.stream(kBytes), bytes, [&](size_t i, std::span<const uint8_t> all) {
    const std::string text(all.begin(), all.end());
    const auto stop = static_cast<size_t>(records[i].text_bytes);
    const auto error = stop + static_cast<size_t>(records[i].stop_bytes);
    rows[i].text = text.substr(0, stop);
    rows[i].stop_reason = text.substr(stop, error - stop);
    rows[i].error = text.substr(error);
  });
  const auto read_tokens = [&]<typename T>(Stream stream, std::vector<T> FinishedRow::*field) {
    read_parts<T>(file_.stream(stream), tokens, [&](size_t i, std::span<const T> values) {
      (rows[i].*field).assign(values.begin(), values.end());
    });
  };
  read_tokens(kTokens, &FinishedRow::token_ids);
  if (file_.head().logprobs > 0) read_tokens(kLogprobs, &FinishedRow::logprobs);
  if (file_.head().logprobs > 1) {
    read_tokens(kTopIds, &FinishedRow::top_token_ids);
    read_tokens(kTopLogprobs, &FinishedRow::top_logprobs);
  }
  return rows;
}

}  // namespace llmpq
