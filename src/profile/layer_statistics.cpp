#include "profile/layer_statistics.hpp"

#include "kernels/check.hpp"

namespace llmpq {
namespace {

double power_of(const float* x, int64_t width) {
  double sum = 0;
  for (int64_t i = 0; i < width; ++i) sum += double{x[i]} * double{x[i]};
  return sum;
}

}  // namespace

int64_t LayerStatistics::tokens() const {
  const ProductStatistics* const first = find(Product::kQkv);
  return first ? first->inputs.rows() : 0;
}

const ProductStatistics* LayerStatistics::find(Product product, int64_t expert) const {
  const auto& of_product = products[static_cast<size_t>(product)];
  const auto index = static_cast<size_t>(expert);
  return index < of_product.size() && of_product[index].inputs.rows() > 0 ? &of_product[index]
                                                                          : nullptr;
}

int64_t unseen_experts(const LayerStatistics& layer, int64_t experts) {
  int64_t unseen = 0;
  for (int64_t expert = 0; expert < experts; ++expert)
    unseen += layer.find(Product::kUp, expert) == nullptr;
  return unseen;
}

LayerStatistics& StatisticsObserver::at(int64_t layer) {
  const auto index = static_cast<size_t>(layer);
  if (layers_.size() <= index) layers_.resize(index + 1);
  return layers_[index];
}

void StatisticsObserver::see_product(Context& context, const ProductRun& run) {
  auto& of_product = at(run.layer).products[static_cast<size_t>(run.product)];
  const auto expert = static_cast<size_t>(run.expert);
  if (of_product.size() <= expert) of_product.resize(expert + 1);
  ProductStatistics& seen = of_product[expert];
  if (seen.inputs.width() == 0) seen.inputs = ChannelMoments(run.inputs);
  on_host_.for_each_piece(context, run.x, run.rows, run.inputs,
                          [&](const float* x, int64_t rows) { seen.inputs.add_rows(x, rows); });
  std::vector<float> weights;
  if (run.weight)
    on_host_.for_each_piece(context, run.weight, run.rows, 1, [&](const float* w, int64_t rows) {
      weights.insert(weights.end(), w, w + rows);
    });
  else
    weights.assign(static_cast<size_t>(run.rows), 1.0f);
  add_outputs(context, run, weights, seen);
}

/// Row by row, so that the sums are the same bits however the rows are cut.
void StatisticsObserver::add_outputs(Context& context, const ProductRun& run,
                                     std::span<const float> weights, ProductStatistics& seen) {
  size_t at = 0;
  on_host_.for_each_piece(context, run.y, run.rows, run.outputs, [&](const float* y, int64_t rows) {
    for (int64_t row = 0; row < rows; ++row, y += run.outputs) {
      const double power = power_of(y, run.outputs), weight = weights[at++];
      seen.output_power += power;
      seen.added_power += weight * weight * power;
    }
  });
}

void StatisticsObserver::see_hidden(Context& context, int64_t layer, const float* hidden,
                                    int64_t rows, int64_t width) {
  double& power = at(layer).hidden_power;
  on_host_.for_each_piece(context, hidden, rows, width, [&](const float* values, int64_t count) {
    for (int64_t row = 0; row < count; ++row) power += power_of(values + row * width, width);
  });
}

const LayerStatistics& StatisticsObserver::of(int64_t layer) const {
  const auto index = static_cast<size_t>(layer);
  CHECK(index < layers_.size() && layers_[index].tokens() > 0, Exit::kInternal,
        "layer {} did not run on this rank, so nothing is known of its inputs", layer);
  return layers_[index];
}

}  // namespace llmpq
