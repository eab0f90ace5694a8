#include "input/bpe.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <limits>
#include <queue>
#include <unordered_map>

#include "base/utf8.hpp"
#include "input/bpe_cache.hpp"
#include "input/utf8_repair.hpp"
#include "kernels/check.hpp"

namespace llmpq {
namespace {

constexpr size_t kLongestWord = size_t{1} << 30;
constexpr int32_t kNone = -1;

struct Merge {
  uint32_t rank;
  int32_t token;  ///< what the pair becomes
};

struct MixBits {
  size_t operator()(uint64_t pair) const {
    pair *= 0x9E3779B97F4A7C15ull;
    return pair ^ (pair >> 29);
  }
};
using MergeTable = std::unordered_map<uint64_t, Merge, MixBits>;

uint64_t pair_key(int32_t left, int32_t right) {
  return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
}

/// A link of the word's chain: a token that still stands, or one that its left neighbour swallowed.
struct Link {
  int32_t token;
  int32_t previous;
  int32_t next;  ///< -1 at the end
  bool swallowed = false;
};

/// A merge that was possible when it was found.
struct Candidate {
  uint32_t rank;
  int32_t position;
  int32_t token;
  bool operator>(const Candidate& other) const {
    return rank != other.rank ? rank > other.rank : position > other.position;
  }
};

class Chain {
 public:
  Chain(const std::vector<int32_t>& tokens, const MergeTable& merges) : merges_(merges) {
    const auto count = static_cast<int32_t>(tokens.size());
    links_.reserve(tokens.size());
    for (int32_t i = 0; i < count; ++i) {
      links_.push_back({tokens[i], i - 1, i + 1 < count ? i + 1 : -1});
    }
    std::vector<Candidate> found;
    for (int32_t i = 0; i + 1 < count; ++i) {
      if (const Merge* merge = merge_at(i)) found.push_back({merge->rank, i, merge->token});
    }
    queue_ = Queue(std::greater<>(), std::move(found));
  }

  void merge_all() {
    while (!queue_.empty()) {
      const Candidate best = queue_.top();
      queue_.pop();
      if (!links_[best.position].swallowed && still_valid(best)) apply(best);
    }
  }

  void append_to(std::vector<int32_t>& ids) const {
    for (const Link& link : links_) {
      if (!link.swallowed) ids.push_back(link.token);
    }
  }

 private:
  using Queue = std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>>;

  const Merge* merge_at(int32_t position) const {
    const Link& link = links_[position];
    if (link.next < 0) return nullptr;
    const auto found = merges_.find(pair_key(link.token, links_[link.next].token));
    return found == merges_.end() ? nullptr : &found->second;
  }

  /// The pair may have changed since; `tokenizers` goes by what it becomes, not by its rank.
  bool still_valid(const Candidate& candidate) const {
    const Merge* merge = merge_at(candidate.position);
    return merge && merge->token == candidate.token;
  }

  void apply(const Candidate& best) {
    Link& left = links_[best.position];
    Link& right = links_[left.next];
    left.token = best.token;
    left.next = right.next;
    right.swallowed = true;
    if (left.next >= 0) links_[left.next].previous = best.position;
    if (left.previous >= 0) propose(left.previous);
    propose(best.position);
  }

  void propose(int32_t position) {
    if (const Merge* merge = merge_at(position)) {
      queue_.push({merge->rank, position, merge->token});
    }
  }

  const MergeTable& merges_;
  std::vector<Link> links_;
  Queue queue_;
};

}  // namespace

struct Bpe::Tables {
  BpeModel model;
  std::unordered_map<std::string_view, int32_t> ids;  ///< into the strings of model.vocab
  std::unordered_map<int32_t, const std::string*> tokens;
  MergeTable merges;
  std::array<int32_t, 256> byte_tokens;  ///< of <0xNN>, -1 where there is none
  int32_t largest_id = -1;

  std::optional<int32_t> id_of(std::string_view token) const {
    const auto found = ids.find(token);
    return found == ids.end() ? std::nullopt : std::optional(found->second);
  }

  void index_vocab(const std::string& where) {
    ids.reserve(model.vocab.size());
    tokens.reserve(model.vocab.size());
    for (const auto& [token, id] : model.vocab) {
      CHECK(ids.emplace(token, id).second, Exit::kModel, "{}: the token `{}` stands twice in vocab",
            where, token);
      const auto [other, added] = tokens.emplace(id, &token);
      CHECK(added, Exit::kModel, "{}: the tokens `{}` and `{}` have the same id {}", where,
            *other->second, token, id);
      largest_id = std::max(largest_id, id);
    }
    for (size_t byte = 0; byte < byte_tokens.size(); ++byte) {
      byte_tokens[byte] = id_of(fmt::format("<0x{:02X}>", byte)).value_or(-1);
    }
  }

  int32_t id_in_merge(size_t rank, std::string_view token, const std::string& where) const {
    const auto id = id_of(token);
    CHECK(id, Exit::kModel, "{}: merge {} needs the token `{}`, which is not in vocab", where, rank,
          token);
    return *id;
  }

  void index_merges(const std::string& where) {
    const size_t prefix = model.continuing_subword_prefix.size();
    merges.reserve(model.merges.size());
    for (size_t rank = 0; rank < model.merges.size(); ++rank) {
      const auto& [left, right] = model.merges[rank];
      CHECK(right.size() >= prefix, Exit::kModel,
            "{}: merge {}: `{}` is shorter than continuing_subword_prefix", where, rank, right);
      const int32_t left_id = id_in_merge(rank, left, where);
      const int32_t right_id = id_in_merge(rank, right, where);
      const int32_t merged = id_in_merge(rank, left + right.substr(prefix), where);
      merges[pair_key(left_id, right_id)] = {static_cast<uint32_t>(rank), merged};
    }
  }

  /// The tokens a word begins as: one a character, or what stands for unknown ones.
  std::vector<int32_t> characters(std::string_view word) const;
  bool append_bytes(std::string_view symbol, std::vector<int32_t>& out) const;
  int32_t unknown(std::string_view symbol) const;
};

bool Bpe::Tables::append_bytes(std::string_view symbol, std::vector<int32_t>& out) const {
  const auto token_of = [this](char c) { return byte_tokens[static_cast<unsigned char>(c)]; };
  if (!model.byte_fallback) return false;
  if (std::any_of(symbol.begin(), symbol.end(), [&](char c) { return token_of(c) < 0; })) {
    return false;
  }
  for (const char c : symbol) out.push_back(token_of(c));
  return true;
}

int32_t Bpe::Tables::unknown(std::string_view symbol) const {
  const auto id = id_of(*model.unk_token);
  CHECK(id, Exit::kModel, "no token for the character `{}`: unk_token `{}` is not in vocab", symbol,
        *model.unk_token);
  return *id;
}

std::vector<int32_t> Bpe::Tables::characters(std::string_view word) const {
  std::vector<int32_t> out;
  out.reserve(word.size());
  int32_t held = kNone;  // an unk_token that waits whether the next one is fused with it
  std::string affixed;
  for (size_t at = 0; at < word.size();) {
    const size_t bytes = utf8_length(word[at]);
    std::string_view symbol = word.substr(at, bytes);
    const bool prefixed = at > 0 && !model.continuing_subword_prefix.empty();
    at += bytes;
    const bool suffixed = at == word.size() && !model.end_of_word_suffix.empty();
    if (prefixed || suffixed) {
      affixed = prefixed ? model.continuing_subword_prefix : std::string();
      affixed += symbol;
      if (suffixed) affixed += model.end_of_word_suffix;
      symbol = affixed;
    }
    if (const auto id = id_of(symbol)) {
      if (held != kNone) out.push_back(held);
      held = kNone;
      out.push_back(*id);
    } else if (!append_bytes(symbol, out) && model.unk_token) {
      if (held != kNone && !model.fuse_unk) out.push_back(held);
      if (held == kNone || !model.fuse_unk) held = unknown(symbol);
    }
  }
  if (held != kNone) out.push_back(held);
  return out;
}

Bpe::Bpe(BpeModel model, const std::string& where) : cache_(std::make_unique<WordCache>()) {
  CHECK(model.merges.size() < std::numeric_limits<uint32_t>::max(), Exit::kModel,
        "{}: {} merges are too many", where, model.merges.size());
  auto tables = std::make_unique<Tables>();
  tables->model = std::move(model);
  tables->index_vocab(where);
  tables->index_merges(where);
  tables->model.merges = {};
  tables_ = std::move(tables);
}

Bpe::~Bpe() = default;
Bpe::Bpe(Bpe&&) noexcept = default;

void Bpe::encode(std::string_view word, std::vector<int32_t>& ids) const {
  if (word.empty()) return;
  CHECK(word.size() <= kLongestWord, Exit::kPrompts, "a word of {} bytes; at most {} are supported",
        word.size(), kLongestWord);
  if (tables_->model.ignore_merges) {
    if (const auto id = tables_->id_of(word)) return ids.push_back(*id);
  }
  if (cache_->append_known(word, ids)) return;
  Chain chain(tables_->characters(word), tables_->merges);
  chain.merge_all();
  const size_t before = ids.size();
  chain.append_to(ids);
  cache_->remember(word, {ids.begin() + static_cast<ptrdiff_t>(before), ids.end()});
}

std::optional<int32_t> Bpe::id_of(std::string_view token) const { return tables_->id_of(token); }

const std::string* Bpe::token(int32_t id) const {
  const auto found = tables_->tokens.find(id);
  return found == tables_->tokens.end() ? nullptr : found->second;
}

size_t Bpe::size() const { return tables_->model.vocab.size(); }
int32_t Bpe::largest_id() const { return tables_->largest_id; }

}  // namespace llmpq
