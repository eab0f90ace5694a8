// The observer of the sensitivity indicator: what goes into a stage's matrix products and how much
// comes out, over all tokens that pass. Memory: two doubles an input channel (of each expert, where
// there are such), however many tokens.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "layer/host_rows.hpp"
#include "layer/observer.hpp"
#include "profile/moments.hpp"

namespace llmpq {

/// What is known of one product: all tokens, or those that were routed to an expert.
struct ProductStatistics {
  ChannelMoments inputs;
  double output_power = 0;  ///< sum over its tokens of |y|^2
  double added_power = 0;   ///< the same of y times the router's weight; without experts of y
};

/// What is known of one layer.
struct LayerStatistics {
  /// By Product, then by expert (one entry without experts); as many as saw tokens, or more.
  std::array<std::vector<ProductStatistics>, kProducts> products;
  double hidden_power = 0;  ///< of the residual stream after the layer

  int64_t tokens() const;
  /// null for a product that no token has met.
  const ProductStatistics* find(Product product, int64_t expert = 0) const;
};

/// Experts of a layer that no token was routed to.
int64_t unseen_experts(const LayerStatistics& layer, int64_t experts);

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
  void add_outputs(Context& context, const ProductRun& run, std::span<const float> weights,
                   ProductStatistics& seen);

  HostRows on_host_;
  std::vector<LayerStatistics> layers_;  ///< by the model's index; empty ones did not run here
};

}  // namespace llmpq
