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

/// A matrix, what is known of its product, and the share of the tokens that meet it.
struct SeenMatrix {
  const LayerMatrix& matrix;
  const ProductStatistics& product;
  double share;
};

/// measure(seen) for each matrix of the layer that a token has met.
template <typename Measure>
void for_each_seen(const LayerEvidence& of, Measure measure) {
  const auto tokens = static_cast<double>(of.statistics.tokens());
  for (const LayerMatrix& matrix : layer_matrices(of.checkpoint.config()))
    if (const auto* const product = of.statistics.find(matrix.product, matrix.expert))
      measure(SeenMatrix{matrix, *product, static_cast<double>(product->inputs.rows()) / tokens});
}

/// e of a matrix: the expected squared error of its output, for a token that meets it.
ByFormat squared_error(const LayerEvidence& of, const SeenMatrix& seen) {
  return weighted_errors(of.checkpoint, of.layer, seen.matrix, mean_squares(seen.product.inputs),
                         of.threads);
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
  for_each_seen(of, [&](const SeenMatrix& seen) {
    add(omega, mean_squared_steps(of.checkpoint, of.layer, seen.matrix),
        seen.share * static_cast<double>(seen.matrix.columns) *
            seen.product.inputs.pooled().variance() / 4);
  });
  return omega;
}

ByFormat hessian_omega(const LayerEvidence& of) {
  ByFormat omega{};
  for_each_seen(of,
                [&](const SeenMatrix& seen) { add(omega, squared_error(of, seen), seen.share); });
  return omega;
}

ByFormat relative_omega(const LayerEvidence& of) {
  ByFormat omega{};
  for_each_seen(of, [&](const SeenMatrix& seen) {
    const auto rows = static_cast<double>(seen.product.inputs.rows());
    // The product through which this one's error comes into the stream.
    const Product last = seen.matrix.product <= Product::kOut ? Product::kOut : Product::kDown;
    const double added = of.statistics.find(last, seen.matrix.expert)->added_power;
    const double part = ratio(added, of.statistics.hidden_power);
    add(omega, squared_error(of, seen), ratio(part * rows, seen.product.output_power));
  });
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
