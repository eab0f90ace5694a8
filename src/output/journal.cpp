#include "output/journal.hpp"

#include <algorithm>
#include <bit>
#include <numeric>

#include "base/file.hpp"
#include "output/journal_reader.hpp"
#include "output/output_files.hpp"
#include "output/result.hpp"

namespace llmpq {
namespace {

constexpr auto kCode = Exit::kOutput;

/// Position of a row's sample in the output; -1 if the job does not have it.
int64_t output_position(const JournalHead& head, int64_t row, int64_t sample) {
  const bool inside =
      row >= head.rows.begin && row < head.rows.end && sample >= 0 && sample < head.num_samples;
  return inside ? (row - head.rows.begin) * head.num_samples + sample : -1;
}

void check_row(const JournalHead& head, const FinishedRow& row) {
  const size_t tokens = row.token_ids.size();
  const size_t chosen = head.logprobs > 0 ? tokens : 0;
  const size_t top = head.logprobs > 1 ? tokens * static_cast<size_t>(head.logprobs) : 0;
  CHECK(row.logprobs.size() == chosen && row.top_token_ids.size() == top &&
            row.top_logprobs.size() == top,
        Exit::kInternal,
        "row {}: {} tokens come with {} logprobs, {} top ids and {} top logprobs, want {}, {}, {}",
        row.row, tokens, row.logprobs.size(), row.top_token_ids.size(), row.top_logprobs.size(),
        chosen, top, top);
}

template <typename To, typename From>
void append(std::vector<To>& to, const From& from) {
  to.insert(to.end(), from.begin(), from.end());
}

}  // namespace

struct Journal::Impl {
  JournalFile file;
  std::filesystem::path part;  ///< where it is; empty before it has its name
  CommitRecord committed;
  JournalBatch pending;
  int64_t failed = 0;
  std::vector<bool> done;  ///< by output position
  std::vector<std::string> plans;

  Impl(JournalFile opened, const CommitRecord& last)
      : file(std::move(opened)),
        committed(last),
        failed(last.failed),
        done(static_cast<size_t>(file.head().outputs()), false) {}

  int64_t end_of(Stream stream, size_t pending_values) const {
    return committed.ends[stream] + static_cast<int64_t>(pending_values);
  }
};

Journal::Journal(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Journal::~Journal() = default;

std::unique_ptr<Journal> Journal::create(const std::filesystem::path& output,
                                         const JournalHead& head, const std::string& plan) {
  const OutputPaths paths(output);
  const Unfinished fresh(paths.fresh);
  std::unique_ptr<Journal> journal(
      new Journal(std::make_unique<Impl>(JournalFile::create(paths.fresh, head), CommitRecord{})));
  if (!plan.empty()) journal->add_plan(plan);
  journal->commit();
  rename_durably(paths.fresh, paths.part, kCode);
  journal->impl_->part = paths.part;
  return journal;
}

std::unique_ptr<Journal> Journal::resume(const std::filesystem::path& output, bool retry_failed) {
  const OutputPaths paths(output);
  // A kill during the repair must not cost rows either, so the journal itself is left alone.
  const Unfinished copy(paths.recover);
  std::error_code error;
  std::filesystem::copy_file(paths.part, paths.recover,
                             std::filesystem::copy_options::overwrite_existing, error);
  CHECK(!error, kCode, "{}: cannot be copied to {}: {}", paths.part.string(),
        paths.recover.string(), error.message());
  h5::File::recover(paths.recover, kCode);
  JournalFile file = JournalFile::open(paths.recover, h5::File::Mode::kWrite);
  const CommitRecord last = file.verify();
  auto impl = std::make_unique<Impl>(std::move(file), last);
  const JournalRows rows(impl->file, last);
  for (const int64_t position : rows.output_positions()) {
    impl->done[static_cast<size_t>(position)] = true;
  }
  impl->plans = rows.plans();
  impl->file.start_writing(last);
  rename_durably(paths.recover, paths.part, kCode);
  impl->part = paths.part;
  auto journal = std::unique_ptr<Journal>(new Journal(std::move(impl)));
  if (!retry_failed || last.failed == 0) return journal;
  return with_good_rows(output, journal->head(), journal->plans(), rows.count(),
                        [&](int64_t begin, int64_t count) {
                          std::vector<int64_t> indices(static_cast<size_t>(count));
                          std::iota(indices.begin(), indices.end(), begin);
                          return rows.rows(rows.records(indices));
                        });
}

std::unique_ptr<Journal> Journal::reopen(const std::filesystem::path& output) {
  const ResultReader result(output);
  const ResultHead& from = result.head();
  CHECK(!from.fingerprint.empty(), kCode,
        "{}: does not say what its rows depend on, so none can be done again; make it anew with "
        "--overwrite",
        output.string());
  return with_good_rows(output, from, from.plans, result.rows(),
                        [&](int64_t begin, int64_t count) { return result.read(begin, count); });
}

/// Complete before it takes the place of another one.
std::unique_ptr<Journal> Journal::with_good_rows(const std::filesystem::path& output,
                                                 const JournalHead& head,
                                                 const std::vector<std::string>& plans,
                                                 int64_t rows, const ReadRows& read) {
  constexpr int64_t kRowsAtOnce = 256;
  const OutputPaths paths(output);
  const Unfinished fresh(paths.fresh);
  auto journal = std::unique_ptr<Journal>(
      new Journal(std::make_unique<Impl>(JournalFile::create(paths.fresh, head), CommitRecord{})));
  for (const std::string& plan : plans) journal->add_plan(plan);
  for (int64_t begin = 0; begin < rows; begin += kRowsAtOnce) {
    for (FinishedRow& row : read(begin, std::min(kRowsAtOnce, rows - begin)))
      if (row.finish_reason != FinishReason::kError) journal->add(std::move(row));
    journal->commit();
  }
  rename_durably(paths.fresh, paths.part, kCode);
  journal->impl_->part = paths.part;
  return journal;
}

const JournalHead& Journal::head() const { return impl_->file.head(); }

bool Journal::is_done(int64_t row, int32_t sample) const {
  const int64_t position = output_position(head(), row, sample);
  return position >= 0 && impl_->done[static_cast<size_t>(position)];
}

JournalCounts Journal::counts() const {
  const CommitRecord& last = impl_->committed;
  return {head().outputs(), last.rows(), last.failed, last.ends[kTokens]};
}

int32_t Journal::add_plan(const std::string& json) {
  auto& plans = impl_->plans;
  const auto found = std::ranges::find(plans, json);
  if (found != plans.end()) return static_cast<int32_t>(found - plans.begin());
  JournalBatch& pending = impl_->pending;
  append(pending.plans, std::array{impl_->end_of(kBytes, pending.bytes.size()),
                                   static_cast<int64_t>(json.size())});
  append(pending.bytes, json);
  plans.push_back(json);
  return static_cast<int32_t>(plans.size()) - 1;
}

const std::vector<std::string>& Journal::plans() const { return impl_->plans; }

void Journal::add(FinishedRow row) {
  const int64_t position = output_position(head(), row.row, row.sample);
  CHECK(position >= 0, Exit::kInternal, "row {} sample {} is not of this job", row.row, row.sample);
  CHECK(!impl_->done[static_cast<size_t>(position)], Exit::kInternal,
        "row {} sample {} was finished twice", row.row, row.sample);
  check_row(head(), row);

  JournalBatch& pending = impl_->pending;
  RowRecord record{};
  record.row = row.row;
  record.sample = row.sample;
  record.finish_reason = static_cast<int64_t>(row.finish_reason);
  record.prompt_tokens = row.prompt_tokens;
  record.plan_index = row.plan_index;
  record.bytes_begin = impl_->end_of(kBytes, pending.bytes.size());
  record.text_bytes = static_cast<int64_t>(row.text.size());
  record.stop_bytes = static_cast<int64_t>(row.stop_reason.size());
  record.error_bytes = static_cast<int64_t>(row.error.size());
  record.tokens_begin = impl_->end_of(kTokens, pending.tokens.size());
  record.tokens = static_cast<int64_t>(row.token_ids.size());
  append(pending.rows, std::bit_cast<std::array<int64_t, kRowFields>>(record));
  for (const std::string* text : {&row.text, &row.stop_reason, &row.error}) {
    append(pending.bytes, *text);
  }
  append(pending.tokens, row.token_ids);
  append(pending.logprobs, row.logprobs);
  append(pending.top_ids, row.top_token_ids);
  append(pending.top_logprobs, row.top_logprobs);
  impl_->done[static_cast<size_t>(position)] = true;
  if (row.finish_reason == FinishReason::kError) ++impl_->failed;
}

void Journal::commit() {
  JournalBatch& pending = impl_->pending;
  if (pending.rows.empty() && pending.plans.empty()) return;
  impl_->committed = impl_->file.commit(impl_->committed, impl_->failed, pending);
  pending.for_each([](Stream, auto& values) { values.clear(); });
  CHECK(impl_->part.empty() || !impl_->file.is_removed_from(impl_->part), kCode,
        "{}: somebody removed it or put another file in its place while this job wrote it, and its "
        "{} rows are lost with it; start again, and leave OUTPUT.part* alone while a job runs",
        impl_->part.string(), impl_->committed.rows());
}

}  // namespace llmpq
