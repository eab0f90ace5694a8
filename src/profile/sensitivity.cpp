#include "profile/sensitivity.hpp"

#include "layer/random.hpp"

namespace llmpq {
namespace {

void add(ByFormat& sum, const ByFormat& part, double times) {
  for (size_t i = 0; i < sum.size(); ++i) sum[i] += part[i] * times;
}

/// Mean squares of the channels.
std::vector<double> mean_squares(const ChannelMoments& channels) {
  std::vector<double> result;
  for (int64_t i = 0; i < channels.width(); ++i)
    result.push_back(channels.channel(i).mean_square());
  return result;
}

/// e by product.
std::array<ByFormat, kProducts> squared_errors(const LayerEvidence& of) {
  std::array<ByFormat, kProducts> errors{};
  for (const LayerMatrix& matrix : layer_matrices(of.checkpoint.config())) {
    const auto product = static_cast<size_t>(matrix.product);
    const auto weights = mean_squares(of.statistics.inputs[product]);
    add(errors[product], weighted_errors(of.checkpoint, of.layer, matrix, weights, of.threads), 1);
  }
  return errors;
}

/// 0 / 0, of a layer whose products give nothing, is no error.
double ratio(double part, double whole) { return part == 0 ? 0 : part / whole; }

}  // namespace

std::string_view name(Indicator indicator) {
  constexpr std::string_view kNames[] = {"relative", "variance", "hessian", "random"};
  return kNames[static_cast<size_t>(indicator)];
}

ByFormat variance_omega(const LayerEvidence& of) {
  ByFormat omega{};
  for (const LayerMatrix& matrix : layer_matrices(of.checkpoint.config())) {
    const ChannelMoments& inputs = of.statistics.inputs[static_cast<size_t>(matrix.product)];
    add(omega, mean_squared_steps(of.checkpoint, of.layer, matrix),
        static_cast<double>(matrix.columns) * inputs.pooled().variance() / 4);
  }
  return omega;
}

ByFormat hessian_omega(const LayerEvidence& of) {
  ByFormat omega{};
  for (const ByFormat& errors : squared_errors(of)) add(omega, errors, 1);
  return omega;
}

ByFormat relative_omega(const LayerEvidence& of) {
  const auto tokens = static_cast<double>(of.statistics.inputs[0].rows());
  const auto errors = squared_errors(of);
  ByFormat omega{};
  for (int product = 0; product < kProducts; ++product) {
    const auto at = static_cast<size_t>(product);
    // The product through which this one's error comes into the stream.
    const Product last = at <= static_cast<size_t>(Product::kOut) ? Product::kOut : Product::kDown;
    const double share =
        ratio(of.statistics.output_power[static_cast<size_t>(last)], of.statistics.hidden_power);
    add(omega, errors[at], ratio(share * tokens, of.statistics.output_power[at]));
  }
  return omega;
}

std::vector<ByFormat> random_omega(int64_t layers, uint64_t seed) {
  std::vector<ByFormat> omega(static_cast<size_t>(layers));
  for (int64_t layer = 0; layer < layers; ++layer) {
    const double draw = static_cast<double>(draw_bits(seed, 0, layer) >> 11) * 0x1p-53;
    for (const FormatInfo& format : kFormats)
      if (!is_16bit(format.format))
        omega[static_cast<size_t>(layer)][static_cast<size_t>(format.format)] =
            draw / (format.max_abs * format.max_abs);
  }
  return omega;
}

}  // namespace llmpq
