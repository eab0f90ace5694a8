// Choosing and scoring on a GPU: the same tokens, logprobs and likeliest as the CPU, bit for bit.
#include "kernels/cuda/gpu.hpp"
#include "kernels/sample_cases.hpp"

namespace llmpq::test {
namespace {

class GpuSampleTest : public GpuTest {
 protected:
  static SampleOutcome run(const SampleCase& wanted) {
    const auto of = [](const auto& values) { return OnDevice(gpu(), stream(), values); };
    const auto count = wanted.rows.size(), places = count * static_cast<size_t>(wanted.top);
    auto logits = of(wanted.logits);
    auto rows = of(wanted.rows);
    auto counted = of(wanted.counted);
    auto masked = of(wanted.masked);
    auto tokens = of(std::vector<int32_t>(count, -7)), ids = of(std::vector<int32_t>(places, -7));
    auto logprobs = of(std::vector<float>(count, -7)), top = of(std::vector<float>(places, -7));
    gpu().ops().sample(stream(), {.logits = logits.data(),
                                  .rows = wanted.count(),
                                  .vocab = wanted.vocab,
                                  .sample = rows.data(),
                                  .counted = counted.data(),
                                  .masked = masked.data(),
                                  .top = wanted.top,
                                  .tokens = tokens.data(),
                                  .logprobs = logprobs.data(),
                                  .top_ids = ids.data(),
                                  .top_logprobs = top.data()});
    return {tokens.values(), ids.values(), logprobs.values(), top.values()};
  }
  static void expect_twins(const SampleCase& wanted, const std::string& what) {
    expect_same(run(wanted), run_sample(cpu(), wanted), what);
  }
};

TEST_F(GpuSampleTest, ChoosesWhatTheCpuChooses) {
  for (const auto& [vocab, rows] : {std::pair<int64_t, int64_t>{1, 500},
                                    {7, 3000},
                                    {1000, 3000},
                                    {1003, 1000},
                                    {32000, 200},
                                    {50257, 100},
                                    {128256, 64}})
    for (const int64_t top : {0, 20}) {
      Random random(static_cast<uint64_t>(vocab + top));
      expect_twins(random_case(random, rows, vocab, top), "vocab " + std::to_string(vocab));
    }
}

/// Each option alone, over rows of all kinds.
TEST_F(GpuSampleTest, EveryOptionAlone) {
  const int64_t vocab = 4000;
  for (int option = 0; option < 8; ++option) {
    Random random(static_cast<uint64_t>(option) + 100);
    SampleCase wanted;
    wanted.vocab = vocab;
    wanted.top = option == 7 ? 20 : 0;
    for (int r = 0; r < 200; ++r) {
      SampleRow row = greedy_row();
      if (option > 0) row.temperature = 1.2f + random.uniform();
      if (option == 2) row.top_k = static_cast<int32_t>(1 + random.below(vocab));
      if (option == 3) row.top_p = 0.5f + 0.5f * random.uniform();
      if (option == 4) row.min_p = std::fabs(random.uniform());
      if (option == 5) row.repetition = 1.3f + random.uniform();
      if (option == 6) row.logprobs = 1;
      if (option == 7) row.logprobs = static_cast<int32_t>(2 + random.below(19));
      row.bits = random.next();
      add_row(wanted, random, row);
    }
    expect_twins(wanted, "option " + std::to_string(option));
  }
}

/// Top-p ends within a long run of equal weights: the lowest ids of the run stay.
TEST_F(GpuSampleTest, TiesAreSplitByTheId) {
  for (const int64_t vocab : {100, 5001, 128256}) {
    Random random(3);
    SampleCase wanted;
    wanted.vocab = vocab;
    wanted.top = 20;
    for (int r = 0; r < 60; ++r) {
      SampleRow row = greedy_row();
      row.temperature = 1;
      row.top_p = r % 2 == 0 ? 0.1f * static_cast<float>(r % 7 + 1) : 1.0f;
      row.top_k = r % 3 == 0 ? static_cast<int32_t>(1 + random.below(vocab)) : 0;
      row.logprobs = 20;
      row.bits = random.next();
      wanted.rows.push_back(row);
      for (int64_t i = 0; i < vocab; ++i)
        wanted.logits.push_back(static_cast<float>(random.below(r % 4 + 1)));
    }
    expect_twins(wanted, "vocab " + std::to_string(vocab));
  }
}

/// So few rows of so many ids that several blocks work on each: random wishes, a mask that leaves
/// nothing, and ties that are split.
TEST_F(GpuSampleTest, FewRowsOfLargeVocabulariesAreTheCpus) {
  for (const auto& [vocab, rows] : {std::pair<int64_t, int64_t>{16384, 3}, {32001, 2}, {66000, 1}})
    for (const int64_t top : {0, 20}) {
      Random random(static_cast<uint64_t>(vocab + top));
      for (int i = 0; i < 4; ++i) {
        SampleCase wanted = random_case(random, rows, vocab, top);
        SampleRow& row = wanted.rows.back();
        if (i == 1) {
          row.masked_begin = static_cast<int32_t>(wanted.masked.size());
          for (int32_t token = 0; token < vocab; ++token) wanted.masked.push_back(token);
          row.masked_end = static_cast<int32_t>(wanted.masked.size());
        }
        if (i == 2) {
          row.temperature = 1;
          row.top_p = 0.4f;
          row.top_k = static_cast<int32_t>(vocab / 3);
          for (int64_t at = (rows - 1) * vocab; at < rows * vocab; ++at)
            wanted.logits[at] = static_cast<float>(random.below(2));
        }
        expect_twins(wanted, "vocab " + std::to_string(vocab) + ", " + std::to_string(i));
      }
    }
}

TEST_F(GpuSampleTest, ScoresAreTheCpus) {
  for (const int64_t vocab : {1, 7, 1000, 1003, 128256}) {
    const int64_t rows = 100;
    Random random(static_cast<uint64_t>(vocab));
    std::vector<float> logits(static_cast<size_t>(rows * vocab)), wanted(rows);
    std::vector<int32_t> targets;
    for (int64_t r = 0; r < rows; ++r) {
      fill_logits(random, logits.data() + r * vocab, vocab);
      targets.push_back(static_cast<int32_t>(random.below(vocab)));
    }
    cpu().ops().score(*cpu().context, {logits.data(), targets.data(), rows, vocab, wanted.data()});
    OnDevice<float> on_gpu(gpu(), stream(), logits), scores(gpu(), stream(), wanted);
    OnDevice<int32_t> at(gpu(), stream(), targets);
    gpu().ops().score(stream(), {on_gpu.data(), at.data(), rows, vocab, scores.data()});
    const std::vector<float> got = scores.values();
    for (size_t r = 0; r < wanted.size(); ++r) {
      if (std::isnan(wanted[r]))
        ASSERT_TRUE(std::isnan(got[r])) << vocab << ", row " << r;
      else
        ASSERT_EQ(got[r], wanted[r]) << vocab << ", row " << r;
    }
  }
}

}  // namespace
}  // namespace llmpq::test
