#include "output/journal_file.hpp"

#include <algorithm>
#include <bit>
#include <nlohmann/json.hpp>

#include "base/hash.hpp"
#include "base/json.hpp"

namespace llmpq {
namespace {

constexpr auto kCode = Exit::kOutput;
constexpr const char* kFormat = "llmpq-journal-1";

/// Values that are read at once when everything is walked.
constexpr int64_t kWindow = 1 << 18;

struct StreamSpec {
  const char* name;
  h5::DatasetSpec dataset;
};

/// Chunks of 16 to 32 KiB: a commit writes the last chunk of each stream anew. Not compressed:
/// then that happens in place, where a compressed chunk would move and leave a hole each time.
std::array<StreamSpec, kStreams> stream_specs(int64_t top) {
  using h5::value_type;
  const auto plain = [](h5::ValueType type, int64_t chunk_rows, std::vector<int64_t> inner) {
    return h5::DatasetSpec{type, chunk_rows, std::move(inner), false};
  };
  const int64_t top_rows = std::max<int64_t>(1, 4096 / top);
  return {{{"rows", plain(value_type<int64_t>(), 256, {kRowFields})},
           {"bytes", plain(value_type<uint8_t>(), 32768, {})},
           {"token_ids", plain(value_type<int32_t>(), 4096, {})},
           {"logprobs", plain(value_type<float>(), 4096, {})},
           {"top_token_ids", plain(value_type<int32_t>(), top_rows, {top})},
           {"top_logprobs", plain(value_type<float>(), top_rows, {top})},
           {"plans", plain(value_type<int64_t>(), 16, {2})}}};
}

std::string head_text(const JournalHead& head) {
  const nlohmann::json json = {{"format", kFormat},
                               {"rows", {head.rows.begin, head.rows.end}},
                               {"num_samples", head.num_samples},
                               {"logprobs", head.logprobs},
                               {"job", head.job},
                               {"profile", head.profile},
                               {"versions", head.versions},
                               {"fingerprint", head.fingerprint}};
  return dump_json(json);
}

JournalHead parse_head(const std::string& text, const std::string& name) {
  const nlohmann::json json = parse_json(text, name + ":/head", kCode);
  try {
    JournalHead head;
    CHECK(json.at("format") == kFormat, kCode, "{}: want format {}, found {}", name, kFormat,
          dump_json(json.at("format")));
    head.rows = {json.at("rows").at(0), json.at("rows").at(1)};
    head.num_samples = json.at("num_samples");
    head.logprobs = json.at("logprobs");
    head.job = json.at("job");
    head.profile = json.at("profile");
    head.versions = json.at("versions");
    head.fingerprint = json.at("fingerprint");
    const bool sane = head.rows.begin >= 0 && head.rows.begin <= head.rows.end &&
                      head.rows.end < int64_t{1} << 40 && head.num_samples >= 1 &&
                      head.num_samples <= 1 << 20 && head.logprobs >= 0;
    CHECK(sane, kCode, "{}: the head has impossible numbers: torn or foreign", name);
    return head;
  } catch (const nlohmann::json::exception& error) {
    fail(kCode, "{}: the head is not one of a journal: {}", name, error.what());
  }
}

std::string read_head(const h5::File& file) {
  const h5::Dataset head = file.dataset("head");
  CHECK(head.shape().size() == 1 && head.rows() < 1 << 30, kCode, "{}: want a text", head.name());
  const auto bytes = head.read<uint8_t>(0, head.rows());
  return {bytes.begin(), bytes.end()};
}

/// The checksum of rows [begin, end) of a stream, chained to the one before.
template <typename T>
int64_t stream_checksum(const h5::Dataset& stream, int64_t begin, int64_t end, int64_t before) {
  Hasher hasher(static_cast<uint64_t>(before));
  const int64_t rows = std::max<int64_t>(1, kWindow / std::max<int64_t>(1, stream.row_values()));
  for (int64_t at = begin; at < end; at += rows) {
    hasher.add(std::span<const T>(stream.read<T>(at, std::min(rows, end - at))));
  }
  return begin == end ? before : static_cast<int64_t>(hasher.value());
}

}  // namespace

bool is_journal(const h5::File& file) {
  return file.is_dataset("head") && file.is_dataset("commits") && file.is_dataset("rows");
}

JournalFile JournalFile::create(const std::filesystem::path& path, const JournalHead& head) {
  JournalFile journal(h5::File::create(path, true, kCode), head);
  h5::File& file = journal.file_;
  const std::string text = head_text(head);
  h5::Dataset stored = file.create_dataset(
      "head", {h5::value_type<uint8_t>(), static_cast<int64_t>(text.size()), {}, false});
  stored.write(0, std::span(reinterpret_cast<const uint8_t*>(text.data()), text.size()));
  for (const StreamSpec& spec : stream_specs(std::max(1, head.logprobs))) {
    file.create_dataset(spec.name, spec.dataset);
  }
  file.create_dataset("commits", {h5::value_type<int64_t>(), 64, {kCommitFields}, false});
  journal.open_streams();
  journal.start_writing({});
  return journal;
}

JournalFile JournalFile::open(const std::filesystem::path& path, h5::File::Mode mode) {
  h5::File file = h5::File::open(path, mode, kCode);
  CHECK(is_journal(file), kCode, "{}: not a journal of llmpq", file.name());
  JournalHead head = parse_head(read_head(file), file.name());
  JournalFile journal(std::move(file), std::move(head));
  journal.open_streams();
  return journal;
}

void JournalFile::open_streams() {
  head_checksum_ = hash_of(head_text(head_));
  for (const StreamSpec& spec : stream_specs(std::max(1, head_.logprobs))) {
    h5::Dataset stream = file_.dataset(spec.name);
    std::vector<int64_t> inner(stream.shape());
    if (!inner.empty()) inner.erase(inner.begin());
    CHECK(!stream.shape().empty() && inner == spec.dataset.inner &&
              stream.type().text() == spec.dataset.type.text(),
          kCode, "{}: has another shape or type than a journal's: torn or foreign", stream.name());
    streams_.push_back(std::move(stream));
  }
  commits_ = file_.dataset("commits");
  CHECK(commits_->shape().size() == 2 && commits_->shape()[1] == kCommitFields, kCode,
        "{}: has another shape than a journal's", commits_->name());
}

int64_t JournalFile::self_checksum(const CommitRecord& commit) const {
  Hasher hasher(head_checksum_);
  hasher.add_bytes(&commit, sizeof(commit) - sizeof(commit.self));
  return static_cast<int64_t>(hasher.value());
}

std::vector<CommitRecord> JournalFile::read_commits(int64_t begin) const {
  const int64_t count = commits_->rows() - begin;
  const auto values = commits_->read<int64_t>(begin, count);
  std::vector<CommitRecord> commits(static_cast<size_t>(count));
  for (size_t i = 0; i < commits.size(); ++i) {
    std::array<int64_t, kCommitFields> fields{};
    std::copy_n(values.begin() + static_cast<std::ptrdiff_t>(i * fields.size()), fields.size(),
                fields.begin());
    commits[i] = std::bit_cast<CommitRecord>(fields);
  }
  return commits;
}

CommitRecord JournalFile::last_commit() {
  commits_->refresh();
  for (h5::Dataset& stream : streams_) stream.refresh();
  const auto commits = read_commits(std::max<int64_t>(0, commits_->rows() - 4));
  if (commits.empty()) return {};
  CHECK(commits.back().self == self_checksum(commits.back()), kCode,
        "{}: the last commit does not match its checksum: the file is torn or foreign", name());
  return commits.back();
}

CommitRecord JournalFile::verify() {
  const std::vector<CommitRecord> commits = read_commits(0);
  CommitRecord before;
  for (size_t i = 0; i < commits.size(); ++i) {
    check_commit(static_cast<int64_t>(i), before, commits[i]);
    before = commits[i];
  }
  commit_count_ = static_cast<int64_t>(commits.size());
  return before;
}

void JournalFile::check_commit(int64_t index, const CommitRecord& before,
                               const CommitRecord& commit) {
  const auto check_stream = [&](bool right, const std::string& stream) {
    CHECK(right, kCode,
          "{}: commit {} does not match its checksum in {}: the file is torn or foreign; move it "
          "away, or start anew with --overwrite",
          name(), index, stream);
  };
  check_stream(commit.self == self_checksum(commit), commits_->name());
  JournalBatch types;
  types.for_each([&](Stream id, auto& values) {
    using T = typename std::remove_reference_t<decltype(values)>::value_type;
    const int64_t begin = before.ends[id], end = commit.ends[id];
    const bool fits = begin <= end && end <= streams_[id].rows();
    check_stream(fits && stream_checksum<T>(streams_[id], begin, end, before.checksums[id]) ==
                             commit.checksums[id],
                 streams_[id].name());
  });
}

CommitRecord JournalFile::commit(const CommitRecord& before, int64_t failed, JournalBatch& batch) {
  CommitRecord commit = before;
  commit.failed = failed;
  batch.for_each([&](Stream id, auto& values) {
    using T = typename std::remove_reference_t<decltype(values)>::value_type;
    if (values.empty()) return;
    const std::span<const T> span(values);
    streams_[id].write(before.ends[id], span);
    commit.ends[id] += static_cast<int64_t>(values.size()) / streams_[id].row_values();
    Hasher hasher(static_cast<uint64_t>(before.checksums[id]));
    hasher.add(span);
    commit.checksums[id] = static_cast<int64_t>(hasher.value());
  });
  commit.self = self_checksum(commit);
  // The record must not reach the disk before what it stands for.
  file_.sync();
  const auto fields = std::bit_cast<std::array<int64_t, kCommitFields>>(commit);
  commits_->write(commit_count_, std::span<const int64_t>(fields));
  file_.sync();
  ++commit_count_;
  return commit;
}

void JournalFile::start_writing(const CommitRecord& committed) {
  for (size_t id = 0; id < kStreams; ++id) streams_[id].resize(committed.ends[id]);
  commits_->resize(commit_count_);
  file_.flush();
  file_.start_live_writing();
  file_.sync();
}

}  // namespace llmpq
