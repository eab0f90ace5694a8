// The name that a misspelt one was most likely meant to be.
#include <algorithm>
#include <numeric>

#include "input/job.hpp"

namespace llmpq {
namespace {

/// Insertions, deletions, replacements and swaps of neighbours that turn a into b (optimal string
/// alignment), in the two rows above the current one.
size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> before(b.size() + 1), above(b.size() + 1), row(b.size() + 1);
  std::iota(above.begin(), above.end(), 0);
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replaced = above[j - 1] + (a[i - 1] != b[j - 1]);
      row[j] = std::min({above[j] + 1, row[j - 1] + 1, replaced});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        row[j] = std::min(row[j], before[j - 2] + 1);
    }
    std::swap(before, above);
    std::swap(above, row);
  }
  return above[b.size()];
}

}  // namespace

std::string nearest_name(std::string_view word, const std::vector<std::string>& candidates) {
  constexpr size_t kLongestName = 64;  // whatever is longer is no slip of the finger
  if (word.size() > kLongestName) return {};
  size_t best = (word.size() <= 3 ? 1 : std::max<size_t>(2, word.size() / 3)) + 1;
  std::string nearest;
  for (const auto& candidate : candidates) {
    const size_t distance = edit_distance(word, candidate);
    if (distance < best) {
      best = distance;
      nearest = candidate;
    }
  }
  return nearest;
}

}  // namespace llmpq
