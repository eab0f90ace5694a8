#include "input/prompts.hpp"

#include <algorithm>
#include <charconv>

#include "base/hash.hpp"
#include "base/hdf5.hpp"
#include "input/row_options.hpp"
#include "kernels/check.hpp"

namespace llmpq {
namespace {

/// Rows that are read at once where the whole file is walked; of prompts fewer (kPromptWindow).
constexpr int64_t kWindow = 1024;
/// Token ids that are read at once if they are of several rows; a row with more than the most is
/// longer than any context, and is not read.
constexpr int64_t kTokensAtOnce = 1 << 22, kMostTokens = 1 << 26;

constexpr auto kCode = Exit::kPrompts;

void check_rank_one(const h5::Dataset& dataset) {
  CHECK(dataset.shape().size() == 1, kCode, "{}: want one dimension, found {}", dataset.name(),
        dataset.shape().size());
}

void check_type(const h5::Dataset& dataset, bool right, const char* wanted) {
  CHECK(right, kCode, "{}: want {}, found {}", dataset.name(), wanted, dataset.type().text());
}

bool is_integer(const h5::Dataset& dataset) { return dataset.type().kind == h5::Kind::kInteger; }
bool is_number(const h5::Dataset& dataset) {
  return is_integer(dataset) || dataset.type().kind == h5::Kind::kFloat;
}
bool is_text(const h5::Dataset& dataset) { return dataset.type().kind == h5::Kind::kText; }

/// /prompt_token_ids: row r has values[splits[r], splits[r + 1]).
struct TokenRows {
  h5::Dataset values;
  h5::Dataset splits;
  int64_t rows() const { return splits.rows() - 1; }
};

/// Walks the splits once: they start at 0, never fall, and end with the values.
void check_splits(const TokenRows& tokens) {
  int64_t before = 0;
  for (int64_t at = 0; at < tokens.splits.rows(); at += kWindow) {
    const int64_t count = std::min(kWindow, tokens.splits.rows() - at);
    const auto splits = tokens.splits.read<int64_t>(at, count);
    CHECK(at > 0 || splits[0] == 0, kCode, "{}: want 0 in front, found {}", tokens.splits.name(),
          splits[0]);
    for (const int64_t split : splits) {
      CHECK(split >= before, kCode, "{}: {} follows {}, but splits never fall",
            tokens.splits.name(), split, before);
      before = split;
    }
  }
  CHECK(before == tokens.values.rows(), kCode, "{}: the last is {}, but there are {} values",
        tokens.splits.name(), before, tokens.values.rows());
}

TokenRows open_token_rows(const h5::File& file) {
  CHECK(
      !file.is_dataset("prompt_token_ids"), kCode,
      "{}: /prompt_token_ids is a dataset, want a group with values (all rows' ids, one after the "
      "other) and row_splits (row r has values[row_splits[r]:row_splits[r + 1]])",
      file.name());
  const h5::Group group = file.group("prompt_token_ids");
  for (const char* name : {"values", "row_splits"}) {
    CHECK(group.is_dataset(name), kCode, "{}: the dataset {} is missing", group.name(), name);
  }
  TokenRows tokens{group.dataset("values"), group.dataset("row_splits")};
  for (const h5::Dataset* dataset : {&tokens.values, &tokens.splits}) {
    check_rank_one(*dataset);
    check_type(*dataset, is_integer(*dataset), "integers");
  }
  CHECK(tokens.splits.rows() >= 1, kCode, "{}: want one more split than rows, found none",
        tokens.splits.name());
  check_splits(tokens);
  return tokens;
}

h5::Dataset open_prompts(const h5::File& file) {
  CHECK(file.is_dataset("prompt"), kCode,
        "{}: want a dataset /prompt with strings, or a group /prompt_token_ids; found neither",
        file.name());
  h5::Dataset prompts = file.dataset("prompt");
  check_rank_one(prompts);
  check_type(prompts, is_text(prompts), "strings");
  return prompts;
}

/// A numeric column and what its values do.
struct OptionColumn {
  const RowOption* option;
  h5::Dataset values;
};

std::string add_sentence(std::string error, const std::string& more) {
  if (more.empty()) return error;
  return error.empty() ? more : error + "; " + more;
}

}  // namespace

struct PromptsFile::Impl {
  h5::File file;
  int64_t rows = 0;
  std::optional<h5::Dataset> prompts;
  std::optional<TokenRows> tokens;
  std::optional<h5::Dataset> ids, seeds, stops;
  std::vector<OptionColumn> columns;
  std::vector<std::string> ignored;

  explicit Impl(h5::File opened) : file(std::move(opened)) {}

  std::optional<h5::Dataset> open_column(const std::string& name, bool (*right)(const h5::Dataset&),
                                         const char* wanted) const {
    if (!file.has(name)) return std::nullopt;
    CHECK(file.is_dataset(name), kCode, "{}: /{} is a group, want a dataset", file.name(), name);
    h5::Dataset column = file.dataset(name);
    check_rank_one(column);
    check_type(column, right(column), wanted);
    CHECK(column.rows() == rows, kCode, "{}: want {} rows like the prompts, found {}",
          column.name(), rows, column.rows());
    return column;
  }

  void open_columns() {
    ids = open_column(
        "id", [](const auto& d) { return is_text(d) || is_integer(d); }, "strings or integers");
    seeds = open_column("seed", is_number, "integers");
    stops = open_column("stop", is_text, "strings");
    for (const RowOption& option : row_options()) {
      // Integers with gaps are floats in pandas, so they may be floats here.
      auto column = open_column(std::string(option.name), is_number,
                                option.is_integer ? "integers" : "floats");
      if (column) columns.push_back({&option, std::move(*column)});
    }
  }

  bool is_known(const std::string& name) const {
    for (const char* known : {"prompt", "prompt_token_ids", "id", "seed", "stop"}) {
      if (name == known) return true;
    }
    return std::ranges::any_of(row_options(), [&](const auto& o) { return o.name == name; });
  }

  void read_prompts(int64_t begin, std::vector<Prompt>& window) const {
    const auto count = static_cast<int64_t>(window.size());
    if (prompts) {
      auto texts = prompts->read_text(begin, count);
      for (size_t i = 0; i < window.size(); ++i) window[i].text = std::move(texts[i]);
      return;
    }
    const auto splits = tokens->splits.read<int64_t>(begin, count + 1);
    for (size_t i = 0, end = 0; i < window.size(); i = end) {
      end = i + 1;
      while (end < window.size() && splits[end + 1] - splits[i] <= kTokensAtOnce) ++end;
      read_tokens(std::span(splits).subspan(i, end - i + 1), std::span(window).subspan(i, end - i));
    }
  }

  /// `splits`: one more than rows.
  void read_tokens(std::span<const int64_t> splits, std::span<Prompt> rows) const {
    const int64_t first = splits.front(), count = splits.back() - first;
    if (count > kMostTokens) {  // of one row
      rows[0].has_tokens = true;
      rows[0].error = fmt::format("the prompt has {} tokens, more than any context", count);
      return;
    }
    const auto values = tokens->values.read<int64_t>(first, count);
    for (size_t i = 0; i < rows.size(); ++i)
      set_tokens(rows[i],
                 std::span(values).subspan(static_cast<size_t>(splits[i] - first),
                                           static_cast<size_t>(splits[i + 1] - splits[i])));
  }

  void hash_prompts(int64_t begin, int64_t count, Hasher& hasher) const {
    std::vector<Prompt> window(static_cast<size_t>(count));
    read_prompts(begin, window);
    for (const Prompt& prompt : window) {
      hasher.add(prompt.has_tokens ? prompt.tokens.size() : prompt.text.size());
      hasher.add(prompt.text);
      hasher.add(std::span<const int32_t>(prompt.tokens));
      hasher.add(prompt.error);
    }
  }

  static void set_tokens(Prompt& prompt, std::span<const int64_t> ids) {
    prompt.has_tokens = true;
    for (const int64_t id : ids) {
      if (id < 0 || id > std::numeric_limits<int32_t>::max()) {
        prompt.tokens.clear();
        prompt.error = fmt::format("the prompt's token id {} is no token id", id);
        return;
      }
      prompt.tokens.push_back(static_cast<int32_t>(id));
    }
  }

  void read_options(int64_t begin, std::vector<Prompt>& window) const {
    const auto count = static_cast<int64_t>(window.size());
    for (const OptionColumn& column : columns) {
      const auto values = column.values.read<double>(begin, count);
      for (size_t i = 0; i < window.size(); ++i) {
        Prompt& prompt = window[i];
        prompt.error = add_sentence(prompt.error,
                                    apply_row_option(*column.option, values[i], prompt.sampling));
      }
    }
    if (stops) {
      const auto texts = stops->read_text(begin, count);
      for (size_t i = 0; i < window.size(); ++i) {
        window[i].error =
            add_sentence(window[i].error, apply_row_stop(texts[i], window[i].sampling));
      }
    }
    if (seeds) read_seeds(begin, window);
  }

  /// Calls `use` with the seeds of these rows, as numbers of a type that has room for all of them.
  template <typename Use>
  void visit_seeds(int64_t begin, int64_t count, const Use& use) const {
    if (!is_integer(*seeds))
      use(seeds->read<double>(begin, count));
    else if (seeds->type().is_signed)
      use(seeds->read<int64_t>(begin, count));
    else
      use(seeds->read<uint64_t>(begin, count));
  }

  void read_seeds(int64_t begin, std::vector<Prompt>& window) const {
    visit_seeds(begin, static_cast<int64_t>(window.size()), [&](const auto& values) {
      for (size_t i = 0; i < window.size(); ++i)
        window[i].error =
            add_sentence(window[i].error, apply_row_seed(values[i], window[i].sampling));
    });
  }
};

PromptsFile::PromptsFile(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
PromptsFile::PromptsFile(PromptsFile&&) noexcept = default;
PromptsFile& PromptsFile::operator=(PromptsFile&&) noexcept = default;
PromptsFile::~PromptsFile() = default;

PromptsFile PromptsFile::open(const std::filesystem::path& path) {
  std::error_code ignored;
  const bool is_named_so = path.extension() == ".h5" || path.extension() == ".hdf5";
  CHECK(
      is_named_so || !std::filesystem::is_regular_file(path, ignored) || h5::is_hdf5(path), kCode,
      "{}: not an HDF5 file; llmpq convert --input {} --output prompts.h5 makes one of JSONL, CSV "
      "or text",
      path.string(), path.string());
  auto impl = std::make_unique<Impl>(h5::File::open(path, h5::File::Mode::kRead, kCode));
  const h5::File& file = impl->file;
  if (file.has("prompt_token_ids")) {
    CHECK(!file.has("prompt"), kCode,
          "{}: has /prompt and /prompt_token_ids: remove the one that is not meant", file.name());
    impl->tokens = open_token_rows(file);
    impl->rows = impl->tokens->rows();
  } else {
    impl->prompts = open_prompts(file);
    impl->rows = impl->prompts->rows();
  }
  impl->open_columns();
  for (const std::string& name : file.names()) {
    if (!impl->is_known(name)) impl->ignored.push_back(name);
  }
  return PromptsFile(std::move(impl));
}

int64_t PromptsFile::rows() const { return impl_->rows; }
const std::vector<std::string>& PromptsFile::ignored() const { return impl_->ignored; }
bool PromptsFile::has_ids() const { return impl_->ids.has_value(); }
bool PromptsFile::has_token_ids() const { return impl_->tokens.has_value(); }

std::vector<Prompt> PromptsFile::read(int64_t begin, int64_t count,
                                      const Sampling& defaults) const {
  CHECK(begin >= 0 && count >= 0 && begin <= rows() && count <= rows() - begin, kCode,
        "{}: rows {} to {} are wanted, the file has {}", impl_->file.name(), begin, begin + count,
        rows());
  std::vector<Prompt> window(static_cast<size_t>(count));
  for (size_t i = 0; i < window.size(); ++i) {
    window[i].row = begin + static_cast<int64_t>(i);
    window[i].sampling = defaults;
  }
  if (count == 0) return window;
  impl_->read_prompts(begin, window);
  impl_->read_options(begin, window);
  return window;
}

namespace {

template <typename Integer>
std::vector<std::string> integers_as_texts(const h5::Dataset& column, int64_t begin,
                                           int64_t count) {
  std::vector<std::string> texts;
  for (const Integer value : column.read<Integer>(begin, count))
    texts.push_back(std::to_string(value));
  return texts;
}

}  // namespace

std::vector<std::string> PromptsFile::read_ids(int64_t begin, int64_t count) const {
  if (!impl_->ids) return std::vector<std::string>(static_cast<size_t>(count));
  const h5::Dataset& ids = *impl_->ids;
  if (is_text(ids)) return ids.read_text(begin, count);
  return ids.type().is_signed ? integers_as_texts<int64_t>(ids, begin, count)
                              : integers_as_texts<uint64_t>(ids, begin, count);
}

uint64_t PromptsFile::content_hash() const {
  Hasher hasher;
  hasher.add(rows());
  for (const OptionColumn& column : impl_->columns) hasher.add(column.option->name);
  hasher.add(std::string(impl_->seeds ? "seed" : "") + (impl_->stops ? "stop" : ""));
  for (int64_t begin = 0; begin < rows(); begin += kWindow) {
    const int64_t count = std::min(kWindow, rows() - begin);
    for (int64_t at = 0; at < count; at += kPromptWindow)
      impl_->hash_prompts(begin + at, std::min(kPromptWindow, count - at), hasher);
    for (const OptionColumn& column : impl_->columns) {
      hasher.add(std::span<const double>(column.values.read<double>(begin, count)));
    }
    if (impl_->seeds)
      impl_->visit_seeds(begin, count, [&](const auto& values) { hasher.add(std::span(values)); });
    if (!impl_->stops) continue;
    for (const std::string& stop : impl_->stops->read_text(begin, count)) {
      hasher.add(stop.size());
      hasher.add(stop);
    }
  }
  return hasher.value();
}

namespace {

/// The whole text as a number of at least 0.
std::optional<int64_t> parse_count(const std::string& text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = error == std::errc() && end == text.data() + text.size();
  return whole && value >= 0 ? std::optional(value) : std::nullopt;
}

RowRangeOfFile select_range(int64_t rows, const std::string& option) {
  const size_t colon = option.find(':');
  const std::string left = option.substr(0, colon);
  const std::string right = colon == std::string::npos ? "" : option.substr(colon + 1);
  const auto begin = left.empty() ? std::optional<int64_t>(0) : parse_count(left);
  const auto end = right.empty() ? std::optional<int64_t>(rows) : parse_count(right);
  CHECK(colon != std::string::npos && begin && end, Exit::kUsage,
        "--rows {}: want BEGIN:END with row numbers from 0, END left out", option);
  CHECK(*begin <= *end && *end <= rows, Exit::kUsage,
        "--rows {}: the prompts file has {} rows, want 0 <= BEGIN <= END <= {}", option, rows,
        rows);
  return {*begin, *end};
}

RowRangeOfFile select_shard(int64_t rows, const std::string& option) {
  const size_t slash = option.find('/');
  const auto part = parse_count(option.substr(0, slash));
  const auto parts =
      slash == std::string::npos ? std::nullopt : parse_count(option.substr(slash + 1));
  CHECK(part && parts && *parts > 0 && *part < *parts && *parts <= int64_t{1} << 30, Exit::kUsage,
        "--shard {}: want I/N with I from 0 to N - 1", option);
  // part * rows may not fit 64 bits.
  const auto border = [&](int64_t i) {
    return static_cast<int64_t>(static_cast<__int128>(i) * rows / *parts);
  };
  return {border(*part), border(*part + 1)};
}

}  // namespace

RowRangeOfFile select_rows(int64_t rows, const std::string& rows_option,
                           const std::string& shard_option) {
  CHECK(rows_option.empty() || shard_option.empty(), Exit::kUsage,
        "--rows {} and --shard {}: give only one of them", rows_option, shard_option);
  if (!rows_option.empty()) return select_range(rows, rows_option);
  if (!shard_option.empty()) return select_shard(rows, shard_option);
  return {0, rows};
}

}  // namespace llmpq
