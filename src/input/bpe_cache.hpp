// A bounded memory of words and their ids, shared by threads. Text repeats its words: most of them
// are merged once and then looked up.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace llmpq {

class WordCache {
 public:
  /// Appends the ids of a word that is remembered; false if it is not.
  bool append_known(std::string_view word, std::vector<int32_t>& ids) const {
    if (word.size() > kLongestWord) return false;
    const Shard& shard = shard_of(word);
    const std::lock_guard lock(shard.mutex);
    const auto found = shard.words.find(word);
    if (found == shard.words.end()) return false;
    ids.insert(ids.end(), found->second.begin(), found->second.end());
    return true;
  }

  /// Remembers a word as long as there is room: what comes often comes early.
  void remember(std::string_view word, std::vector<int32_t> ids) {
    if (word.size() > kLongestWord) return;
    Shard& shard = shard_of(word);
    const std::lock_guard lock(shard.mutex);
    if (shard.words.size() < kWordsPerShard) shard.words.emplace(word, std::move(ids));
  }

 private:
  static constexpr size_t kShards = 16;  // so that threads seldom wait for each other
  static constexpr size_t kWordsPerShard = 4096;
  static constexpr size_t kLongestWord = 64;  // in bytes; with the above at most about 30 MB

  struct Hash : std::hash<std::string_view> {
    using is_transparent = void;
  };
  struct Shard {
    mutable std::mutex mutex;
    std::unordered_map<std::string, std::vector<int32_t>, Hash, std::equal_to<>> words;
  };

  const Shard& shard_of(std::string_view word) const { return shards_[Hash()(word) % kShards]; }
  Shard& shard_of(std::string_view word) { return shards_[Hash()(word) % kShards]; }

  std::array<Shard, kShards> shards_;
};

}  // namespace llmpq
