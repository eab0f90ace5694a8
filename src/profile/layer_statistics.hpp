// The observer of the sensitivity indicator: what goes into a stage's matrix products and how much
// comes out, over all tokens that pass. Memory: two doubles an input channel, however many tokens.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "layer/host_rows.hpp"
#include "layer/observer.hpp"
#include "profile/moments.hpp"

namespace llmpq {

/// What is known of one layer.
struct LayerStatistics {
  std::array<ChannelMoments, kProducts> inputs;  ///< by Product
  std::array<double, kProducts> output_power{};  ///< sum over tokens of |y|^2, by Product
  double hidden_power = 0;                       ///< of the residual stream after the layer
};

class StatisticsObserver : public LayerObserver {
 public:
  explicit StatisticsObserver(Backend& backend) : on_host_(backend) {}

  void see_product(Context& context, const ProductRun& run) override;
  void see_hidden(Context& context, int64_t layer, const float* hidden, int64_t rows,
                  int64_t width) override;
  /// Of a layer that ran here; Error(kInternal) for another one.
  const LayerStatistics& of(int64_t layer) const;

 private:
  LayerStatistics& at(int64_t layer);

  HostRows on_host_;
  std::vector<LayerStatistics> layers_;  ///< by the model's index; empty ones did not run here
};

}  // namespace llmpq
