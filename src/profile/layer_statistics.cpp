#include "profile/layer_statistics.hpp"

#include <algorithm>

#include "kernels/check.hpp"

namespace llmpq {
namespace {

constexpr int64_t kPieceBytes = 1 << 20;  // what is copied at once

/// Adds row by row, so that the sum is the same bits however the rows are cut.
void add_power(const float* x, int64_t rows, int64_t width, double& power) {
  for (int64_t row = 0; row < rows; ++row, x += width) {
    double sum = 0;
    for (int64_t i = 0; i < width; ++i) sum += double{x[i]} * double{x[i]};
    power += sum;
  }
}

}  // namespace

/// use(pointer, rows) for the rows, some at a time, in host memory.
template <typename Use>
void StatisticsObserver::for_each_piece(Context& context, const float* values, int64_t rows,
                                        int64_t width, Use use) {
  const int64_t row_bytes = width * int64_t{sizeof(float)};
  const int64_t wanted = std::max(kPieceBytes, row_bytes);
  if (on_host_.bytes() < wanted) on_host_ = backend_.allocate_staging(wanted);
  const int64_t most = on_host_.bytes() / row_bytes;
  for (int64_t row = 0; row < rows; row += most) {
    const int64_t count = std::min(most, rows - row);
    backend_.copy_to_host(context, on_host_.data(), values + row * width, count * row_bytes);
    context.synchronize();
    use(on_host_.as<float>(), count);
  }
}

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
  for_each_piece(context, run.x, run.rows, run.inputs,
                 [&](const float* x, int64_t rows) { inputs.add_rows(x, rows); });
  for_each_piece(context, run.y, run.rows, run.outputs, [&](const float* y, int64_t rows) {
    add_power(y, rows, run.outputs, layer.output_power[product]);
  });
}

void StatisticsObserver::see_hidden(Context& context, int64_t layer, const float* hidden,
                                    int64_t rows, int64_t width) {
  double& power = at(layer).hidden_power;
  for_each_piece(context, hidden, rows, width, [&](const float* values, int64_t count) {
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
