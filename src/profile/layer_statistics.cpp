#include "profile/layer_statistics.hpp"

#include "kernels/check.hpp"

namespace llmpq {
namespace {

/// Adds row by row, so that the sum is the same bits however the rows are cut.
void add_power(const float* x, int64_t rows, int64_t width, double& power) {
  for (int64_t row = 0; row < rows; ++row, x += width) {
    double sum = 0;
    for (int64_t i = 0; i < width; ++i) sum += double{x[i]} * double{x[i]};
    power += sum;
  }
}

}  // namespace

LayerStatistics& StatisticsObserver::at(int64_t layer) {
  const auto index = static_cast<size_t>(layer);
  if (layers_.size() <= index) layers_.resize(index + 1);
  return layers_[index];
}

void StatisticsObserver::see_product(Context& context, const ProductRun& run) {
  LayerStatistics& layer = at(run.layer);
  const auto product = static_cast<size_t>(run.product);
  ChannelMoments& inputs = layer.inputs[product];
  if (inputs.width() == 0) inputs = ChannelMoments(run.inputs);
  on_host_.for_each_piece(context, run.x, run.rows, run.inputs,
                          [&](const float* x, int64_t rows) { inputs.add_rows(x, rows); });
  on_host_.for_each_piece(context, run.y, run.rows, run.outputs, [&](const float* y, int64_t rows) {
    add_power(y, rows, run.outputs, layer.output_power[product]);
  });
}

void StatisticsObserver::see_hidden(Context& context, int64_t layer, const float* hidden,
                                    int64_t rows, int64_t width) {
  double& power = at(layer).hidden_power;
  on_host_.for_each_piece(context, hidden, rows, width, [&](const float* values, int64_t count) {
    add_power(values, count, width, power);
  });
}

const LayerStatistics& StatisticsObserver::of(int64_t layer) const {
  const auto index = static_cast<size_t>(layer);
  CHECK(index < layers_.size() && layers_[index].inputs[0].rows() > 0, Exit::kInternal,
        "layer {} did not run on this rank, so nothing is known of its inputs", layer);
  return layers_[index];
}

}  // namespace llmpq
