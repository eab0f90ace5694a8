// Who looks on sees what the plain model computes: inputs and outputs of every product, and the
// residual stream.
#include "layer/observer.hpp"

#include <gtest/gtest.h>

#include <map>

#include "reference_model.hpp"
#include "test_model.hpp"

namespace llmpq {
namespace {

enum class Side { kInputs, kOutputs, kWeight, kHidden };
/// Rows, in order, by layer, product (0 for the hidden state), expert and side.
using Seen = std::map<std::tuple<int64_t, int, int64_t, Side>, std::vector<Vector>>;

class Recorder : public LayerObserver {
 public:
  void see_product(Context& context, const ProductRun& run) override {
    context.synchronize();
    const int product = static_cast<int>(run.product);
    add({run.layer, product, run.expert, Side::kInputs}, run.x, run.rows, run.inputs);
    add({run.layer, product, run.expert, Side::kOutputs}, run.y, run.rows, run.outputs);
    const std::vector<float> ones(static_cast<size_t>(run.rows), 1.0f);
    add({run.layer, product, run.expert, Side::kWeight}, run.weight ? run.weight : ones.data(),
        run.rows, 1);
  }
  void see_hidden(Context& context, int64_t layer, const float* hidden, int64_t rows,
                  int64_t width) override {
    context.synchronize();
    add({layer, 0, 0, Side::kHidden}, hidden, rows, width);
  }
  Seen seen;

 private:
  void add(const Seen::key_type& key, const float* x, int64_t rows, int64_t width) {
    for (int64_t row = 0; row < rows; ++row)
      seen[key].emplace_back(x + row * width, x + (row + 1) * width);
  }
};

ReferenceModel::Watch watch(Seen& seen) {
  return {[&](const ReferenceModel::Where& at, const Vector& x, const Vector& y) {
            const auto layer = static_cast<int64_t>(at.layer);
            const auto expert = static_cast<int64_t>(at.expert);
            const int product = static_cast<int>(at.product);
            seen[{layer, product, expert, Side::kInputs}].push_back(x);
            seen[{layer, product, expert, Side::kOutputs}].push_back(y);
            seen[{layer, product, expert, Side::kWeight}].push_back({at.weight});
          },
          [&](size_t layer, const Vector& hidden) {
            seen[{static_cast<int64_t>(layer), 0, 0, Side::kHidden}].push_back(hidden);
          }};
}

double largest_difference(const Vector& a, const Vector& b) {
  double largest = 0;
  for (size_t i = 0; i < a.size(); ++i) largest = std::max(largest, std::abs(a[i] - b[i]));
  return largest;
}

/// Sums of a few hundred f32 terms of size 1.
constexpr double kTolerance = 2e-5;

TEST(Observer, SeesWhatThePlainModelComputes) {
  for (const ModelConfig& config : all_small_models()) {
    SCOPED_TRACE(config.family);
    const RandomCheckpoint checkpoint(config);
    Recorder recorder;
    Runner runner(checkpoint, {.observer = &recorder});
    const auto tokens = random_tokens(21, config.vocab, 3);
    runner.prefill(0, tokens, 8);
    Seen want;
    ReferenceModel(checkpoint, runner.layers(), watch(want)).logits(tokens);
    const int64_t products = config.experts > 0 ? 2 + 2 * config.experts : kProducts;
    ASSERT_EQ(want.size(), static_cast<size_t>(config.layers * (3 * products + 1)));
    ASSERT_EQ(recorder.seen.size(), want.size());
    for (const auto& [key, rows] : want) {
      const auto& got = recorder.seen.at(key);
      ASSERT_EQ(got.size(), rows.size());
      // The rotation comes after the product of queries and keys is seen, in both.
      for (size_t row = 0; row < rows.size(); ++row) {
        ASSERT_EQ(got[row].size(), rows[row].size());
        const double size = largest_difference(rows[row], Vector(rows[row].size()));
        EXPECT_GT(size, 1e-3) << "zeros prove nothing";
        EXPECT_LE(largest_difference(got[row], rows[row]), kTolerance * std::max(1.0, size))
            << "layer " << std::get<0>(key) << ", product " << std::get<1>(key) << ", expert "
            << std::get<2>(key) << ", side " << static_cast<int>(std::get<3>(key)) << ", row "
            << row;
      }
    }
  }
}

TEST(Observer, ChangesNothing) {
  const RandomCheckpoint checkpoint(small_llama());
  const auto tokens = random_tokens(30, checkpoint.config().vocab, 4);
  Recorder recorder;
  Runner seen(checkpoint, {.observer = &recorder}), alone(checkpoint, {});
  EXPECT_EQ(seen.prefill(0, tokens, 11), alone.prefill(0, tokens, 11));
  EXPECT_FALSE(recorder.seen.empty());
}

}  // namespace
}  // namespace llmpq
