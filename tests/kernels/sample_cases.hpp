// Random rows of logits with random wishes, for the tests of Ops::sample on the CPU and on CUDA.
#pragma once

#include <algorithm>
#include <cmath>
#include <set>
#include <vector>

#include "kernels/ops.hpp"
#include "kernels/support.hpp"

namespace llmpq::test {

/// The arguments of one call, in host memory.
struct SampleCase {
  int64_t vocab = 0, top = 0;
  std::vector<float> logits;
  std::vector<SampleRow> rows;
  std::vector<TokenCount> counted;
  std::vector<int32_t> masked;

  int64_t count() const { return static_cast<int64_t>(rows.size()); }
};

struct SampleOutcome {
  std::vector<int32_t> tokens, top_ids;
  std::vector<float> logprobs, top_logprobs;
};

/// A row that takes the likeliest token and wants nothing else.
inline SampleRow greedy_row() {
  SampleRow row{};
  row.top_p = row.repetition = 1;
  return row;
}

/// A row of logits: smooth, with many ties, with holes, with values that are not finite, all equal,
/// sharp, very wide, or all broken.
inline void fill_logits(Random& random, float* row, int64_t vocab) {
  const int64_t kind = random.below(16);
  const auto normal = [&] {  // roughly
    return 2 * (random.uniform() + random.uniform() + random.uniform() + random.uniform());
  };
  for (int64_t i = 0; i < vocab; ++i) {
    row[i] = normal();
    if (kind == 1) row[i] = std::round(row[i]);
    if (kind == 2 && random.below(3) == 0) row[i] = -INFINITY;
    if (kind == 3 && random.below(5) == 0) row[i] = random.below(2) == 0 ? NAN : INFINITY;
    if (kind == 4) row[i] = -1.5f;
    if (kind == 5) row[i] *= 20;
    if (kind == 6) row[i] *= 1e37f;
    if (kind == 7) row[i] = random.below(2) == 0 ? 0.0f : -0.0f;
    if (kind == 8) row[i] = random.below(2) == 0 ? NAN : -INFINITY;
  }
}

/// Options on and off, extreme values now and then.
inline SampleRow random_row(Random& random, int64_t vocab, int64_t top) {
  const auto sometimes = [&](float value, float otherwise) {
    return random.below(2) == 0 ? value : otherwise;
  };
  SampleRow row{};
  row.temperature = sometimes(1.2f + random.uniform(), sometimes(0.0f, 1.0f));
  row.top_p = sometimes(0.5f + 0.5f * random.uniform(), 1.0f);
  row.min_p = sometimes(0.0f, std::fabs(random.uniform()) * 0.2f);
  row.top_k = static_cast<int32_t>(
      random.below(2) == 0 ? 0 : 1 + random.below(random.below(2) == 0 ? 50 : 2 * vocab));
  row.repetition = sometimes(1.0f, 1.3f + random.uniform());
  row.frequency = sometimes(0.0f, random.uniform());
  row.presence = sometimes(0.0f, random.uniform());
  row.logprobs =
      static_cast<int32_t>(random.below(2) == 0 ? random.below(2) : random.below(top + 1));
  row.bits = random.below(20) == 0 ? (random.below(2) == 0 ? 0 : ~uint64_t{0}) : random.next();
  if (random.below(40) == 0) {  // what options refuse, but columns of a file may bring
    const float absurd[] = {-1.0f, 1e-45f, 1e30f, INFINITY, -INFINITY, NAN};
    row.temperature = row.top_p = row.min_p = absurd[random.below(6)];
    row.repetition = row.frequency = row.presence = absurd[random.below(6)];
  }
  return row;
}

/// Appends the row with its counted and masked tokens, each token once.
inline void add_row(SampleCase& all, Random& random, SampleRow row) {
  const auto tokens = [&](int64_t most) {
    std::set<int32_t> some;
    for (int64_t i = random.below(most + 1); i > 0; --i)
      some.insert(static_cast<int32_t>(random.below(all.vocab)));
    return some;
  };
  row.counted_begin = static_cast<int32_t>(all.counted.size());
  if (random.below(2) == 0)
    for (int32_t token : tokens(2000))
      all.counted.push_back({token, static_cast<int32_t>(random.below(4))});
  row.counted_end = static_cast<int32_t>(all.counted.size());
  row.masked_begin = static_cast<int32_t>(all.masked.size());
  if (random.below(2) == 0)
    for (int32_t token : tokens(5)) all.masked.push_back(token);
  if (random.below(10) == 0 && all.vocab <= 1000) {  // a mask that leaves nothing
    for (int32_t token = 0; token < all.vocab; ++token) all.masked.push_back(token);
  }
  row.masked_end = static_cast<int32_t>(all.masked.size());
  all.rows.push_back(row);
  all.logits.resize(all.rows.size() * static_cast<size_t>(all.vocab));
  fill_logits(random, all.logits.data() + all.logits.size() - static_cast<size_t>(all.vocab),
              all.vocab);
}

inline SampleCase random_case(Random& random, int64_t rows, int64_t vocab, int64_t top) {
  SampleCase made;
  made.vocab = vocab;
  made.top = top;
  for (int64_t r = 0; r < rows; ++r) add_row(made, random, random_row(random, vocab, top));
  return made;
}

/// On a CPU.
inline SampleOutcome run_sample(Machine& machine, const SampleCase& wanted) {
  SampleOutcome got;
  std::vector<float> logits = wanted.logits;
  got.tokens.resize(wanted.rows.size(), -7);
  got.logprobs.resize(wanted.rows.size(), -7);
  got.top_ids.resize(static_cast<size_t>(wanted.count() * wanted.top), -7);
  got.top_logprobs.resize(got.top_ids.size(), -7);
  machine.ops().sample(*machine.context, {.logits = logits.data(),
                                          .rows = wanted.count(),
                                          .vocab = wanted.vocab,
                                          .sample = wanted.rows.data(),
                                          .counted = wanted.counted.data(),
                                          .masked = wanted.masked.data(),
                                          .top = wanted.top,
                                          .tokens = got.tokens.data(),
                                          .logprobs = got.logprobs.data(),
                                          .top_ids = got.top_ids.data(),
                                          .top_logprobs = got.top_logprobs.data()});
  return got;
}

inline void expect_same(const SampleOutcome& got, const SampleOutcome& wanted,
                        const std::string& what) {
  ASSERT_FALSE(wanted.tokens.empty()) << what;
  ASSERT_EQ(got.tokens, wanted.tokens) << what;
  ASSERT_EQ(got.top_ids, wanted.top_ids) << what;
  expect_same_bits(got.logprobs, wanted.logprobs, what);
  if (!wanted.top_logprobs.empty()) expect_same_bits(got.top_logprobs, wanted.top_logprobs, what);
}

}  // namespace llmpq::test
