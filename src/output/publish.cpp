#include "output/publish.hpp"

#include <algorithm>

#include "base/file.hpp"
#include "output/journal_reader.hpp"
#include "output/output_files.hpp"
#include "output/result.hpp"

namespace llmpq {
namespace {

constexpr auto kCode = Exit::kOutput;

/// Output rows that are looked up together, and the bytes of content in memory at once.
constexpr int64_t kWindowRows = 4096;
constexpr int64_t kWindowBytes = 32 << 20;

/// For each output row the index of its record in the journal.
std::vector<int64_t> index_by_output(const JournalRows& rows, int64_t outputs) {
  std::vector<int64_t> index(static_cast<size_t>(outputs), -1);
  const std::vector<int64_t> positions = rows.output_positions();
  for (size_t i = 0; i < positions.size(); ++i) {
    index[static_cast<size_t>(positions[i])] = static_cast<int64_t>(i);
  }
  const auto missing = std::ranges::find(index, -1);
  CHECK(missing == index.end(), Exit::kInternal, "output row {} is not finished: {} of {} are",
        missing - index.begin(), positions.size(), outputs);
  return index;
}

int64_t content_bytes(const RowRecord& record, int64_t logprobs) {
  const int64_t token_bytes = 8 + (logprobs > 1 ? 8 * logprobs : 0);
  return record.text_bytes + record.stop_bytes + record.error_bytes + token_bytes * record.tokens;
}

/// How many records from the front fit into memory together; at least one.
size_t front_that_fits(std::span<const RowRecord> records, int64_t logprobs) {
  int64_t bytes = 0;
  size_t count = 0;
  while (count < records.size()) {
    bytes += content_bytes(records[count], logprobs);
    if (count > 0 && bytes > kWindowBytes) break;
    ++count;
  }
  return count;
}

/// The id of each record's prompt; a prompt's samples share one.
std::vector<std::string> ids_of(std::span<const RowRecord> records, const PublishOptions& options) {
  const int64_t first = records.front().row;
  const auto by_row = options.read_ids(first, records.back().row - first + 1);
  std::vector<std::string> ids;
  for (const RowRecord& record : records) {
    ids.push_back(by_row.at(static_cast<size_t>(record.row - first)));
  }
  return ids;
}

ResultHead result_head(const JournalHead& head, const JournalRows& rows,
                       const PublishOptions& options) {
  return {head, options.text_as_bytes, options.times, rows.plans()};
}

void write_result(const std::filesystem::path& path, JournalFile& file,
                  const PublishOptions& options) {
  const JournalHead& head = file.head();
  const JournalRows rows(file, file.verify());
  const std::vector<int64_t> index = index_by_output(rows, head.outputs());
  ResultWriter writer(path, result_head(head, rows, options));
  for (int64_t begin = 0; begin < head.outputs(); begin += kWindowRows) {
    const int64_t count = std::min(kWindowRows, head.outputs() - begin);
    const auto records = rows.records(
        std::span(index).subspan(static_cast<size_t>(begin), static_cast<size_t>(count)));
    for (std::span<const RowRecord> rest = records; !rest.empty();) {
      const auto front = rest.first(front_that_fits(rest, head.logprobs));
      writer.append(rows.rows(front), ids_of(front, options));
      rest = rest.subspan(front.size());
    }
  }
  writer.finish();
}

}  // namespace

void publish(const std::filesystem::path& output, std::unique_ptr<Journal> journal,
             const PublishOptions& options) {
  const OutputPaths paths(output);
  journal->commit();
  journal.reset();
  const Unfinished result(paths.result);
  {
    JournalFile file = JournalFile::open(paths.part, h5::File::Mode::kRead);
    write_result(paths.result, file, options);
  }
  sync_file(paths.result, kCode);
  rename_durably(paths.result, paths.output, kCode);
  remove_part_files(paths);
}

}  // namespace llmpq
