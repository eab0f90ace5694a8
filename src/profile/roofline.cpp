#include "profile/roofline.hpp"

#include <algorithm>
#include <array>

#include "kernels/cuda/scratch.hpp"
#include "layer/step_work.hpp"

namespace llmpq {
namespace {

// Shares of the sheet's peaks. An H200 reached, of its 4.8 TB/s, 50 to 90 % with up to 64 rows and
// packed weights; of its 989 TFLOP/s it sustains about 730, and cuBLAS 80 to 93 % of these from 512
// rows on. GPUs before it are not held back by their power as much.
constexpr double kPackedBandwidth = 0.65;   ///< weights of 3 to 8 bits, decoded on the way
constexpr double kHalfBandwidth = 0.85;     ///< weights of 16 bits
constexpr double kCopyBandwidth = 0.75;     ///< norms, activations, dequantizing to memory
constexpr double kHopperProducts = 0.64;    ///< of the peak, compute capability 9.0 and up
constexpr double kOlderProducts = 0.80;     ///< before: 250 to 270 of an A100's 312 TFLOP/s
constexpr double kPackedProducts = 0.85;    ///< of the above, decoding on the way
constexpr double kPrefillAttention = 0.35;  ///< of the peak, softmax between two products
constexpr double kDecodeAttention = 0.60;   ///< of the bandwidth
constexpr double kPlainAttention = 0.20;    ///< of the f32 peak and of bandwidth, no tensor cores
constexpr double kLaunchS = 2.5e-6;         ///< from one operation's end to the next one's begin
constexpr double kTileRows = 16;            ///< of a tensor-core tile: fewer take as long
constexpr int64_t kMostRows = 8192;

struct Gpu {
  double bandwidth, half, fp32;  ///< bytes/s, FLOP/s
  int capability;

  bool has_tensor_attention() const { return capability >= 80; }
  double products() const { return half * (capability >= 90 ? kHopperProducts : kOlderProducts); }
};

struct Product {
  double n, k;
};

/// Bytes of a weight in memory, scales included.
double bytes_of(Format format) {
  const double scale = is_16bit(format) ? 0 : 4.0 / kGroup;
  return info(format).bits / 8.0 + scale;
}

/// 16-bit weights go to cuBLAS. Packed ones are read as they are by few rows (tensor cores from
/// compute capability 7.5 on) and on 9.0 by some hundred; for others they are dequantized to memory
/// and read again by cuBLAS.
double product_s(const Gpu& gpu, Format format, Product product, double rows) {
  const double weights = product.n * product.k, bytes = weights * bytes_of(format);
  const double tiles = std::max(rows, kTileRows) / rows;
  const double computing = 2 * weights * rows * tiles / gpu.products();
  if (is_16bit(format)) return std::max(bytes / (gpu.bandwidth * kHalfBandwidth), computing);
  const double reading = bytes / (gpu.bandwidth * kPackedBandwidth);
  const bool few = rows <= kMostFewRows && gpu.capability >= 75;
  if (few || (rows <= kUsualWgmmaRows && gpu.capability == 90))
    return std::max(reading, computing / kPackedProducts);
  return (bytes + 4 * weights) / (gpu.bandwidth * kCopyBandwidth) + computing;
}

/// The feed-forward part's products. The weights of all experts that rows reach are read, and each
/// of these experts has as many rows.
double feed_forward_s(const Gpu& gpu, const ModelConfig& c, Format format, double rows) {
  const auto hidden = static_cast<double>(c.hidden), ffn = static_cast<double>(c.ffn);
  const Product up{static_cast<double>(c.up_rows()), hidden}, down{hidden, ffn};
  if (c.experts == 0) return product_s(gpu, format, up, rows) + product_s(gpu, format, down, rows);
  constexpr double kOperations = 6;  // of an expert: gather, round, product, activation, ...
  const auto experts = static_cast<double>(c.experts);
  const auto chosen = static_cast<double>(c.experts_per_token);
  const double reached = reached_experts(c, rows);
  const double each = std::max(1.0, rows * chosen / reached);
  return product_s(gpu, Format::kBf16, {experts, hidden}, rows) +
         reached * (product_s(gpu, format, up, each) + product_s(gpu, format, down, each) +
                    kOperations * kLaunchS);
}

/// Everything of a layer but its attention over the keys.
double layer_s(const Gpu& gpu, const ModelConfig& c, Format format, double rows) {
  const auto hidden = static_cast<double>(c.hidden);
  const auto each = static_cast<double>(std::max<int64_t>(1, c.experts_per_token));
  const double ffn = each * static_cast<double>(c.ffn);
  const double up = each * static_cast<double>(c.up_rows());
  const auto qkv = static_cast<double>(c.qkv_rows());
  const auto attended = static_cast<double>(c.heads * c.head_dim);
  const bool rope = c.position == PositionKind::kRope;
  const double seconds = product_s(gpu, format, {qkv, hidden}, rows) +
                         product_s(gpu, format, {hidden, attended}, rows) +
                         feed_forward_s(gpu, c, format, rows);
  // f32 activations: two norms and an addition (3 + 4 + 3 of hidden), inputs rounded to 16 bits,
  // outputs of products, rope in place, the activation.
  const double floats = 10 * hidden + 1.5 * (2 * hidden + attended + ffn) + qkv + 2 * hidden + up +
                        (rope ? 2 * qkv : 0) + up + ffn;
  const int operations = rope ? 15 : 14;  // 4 products with their inputs rounded first
  return seconds + rows * floats * 4 / (gpu.bandwidth * kCopyBandwidth) + operations * kLaunchS;
}

/// Over samples: gathered rows, norm, product, choice of the tokens.
double head_s(const Gpu& gpu, const ModelConfig& c, Format format, double rows) {
  const auto hidden = static_cast<double>(c.hidden), vocab = static_cast<double>(c.vocab);
  constexpr double kPassesOverLogits = 6;
  const double floats = 4 * hidden + kPassesOverLogits * vocab;
  return product_s(gpu, format, {vocab, hidden}, rows) +
         rows * floats * 4 / (gpu.bandwidth * kCopyBandwidth) + 6 * kLaunchS;
}

double embedding_s(const Gpu& gpu, const ModelConfig& c, double rows) {
  const double bytes = static_cast<double>(c.hidden) * (2 + 4 + (c.embedding_norm ? 8 : 0));
  return rows * bytes / (gpu.bandwidth * kCopyBandwidth) + 2 * kLaunchS;
}

double prefill_key_s(const Gpu& gpu, const ModelConfig& c) {
  const auto flops = static_cast<double>(4 * c.heads * c.head_dim);
  return gpu.has_tensor_attention() ? flops / (gpu.half * kPrefillAttention)
                                    : flops / (gpu.fp32 * kPlainAttention);
}

double decode_key_s(const Gpu& gpu, const ModelConfig& c, DType kv_type) {
  const int64_t head_bytes = c.head_dim * size_of(kv_type) + (kv_type == DType::kInt8 ? 4 : 0);
  const auto bytes = static_cast<double>(2 * c.kv_heads * head_bytes);
  const bool tensor = gpu.has_tensor_attention() && kv_type != DType::kF32;
  const double reading = bytes / (gpu.bandwidth * (tensor ? kDecodeAttention : kPlainAttention));
  return tensor ? reading : std::max(reading, prefill_key_s(gpu, c));
}

template <typename Seconds>
Curve curve_of(Seconds seconds) {
  Curve curve;
  for (int64_t rows = 1; rows <= kMostRows; rows *= 2) {
    curve.rows.push_back(static_cast<double>(rows));
    // Where another kernel takes over: between two points a curve is a straight line.
    if (rows == kMostFewRows || rows == kUsualWgmmaRows)
      curve.rows.push_back(static_cast<double>(rows + 1));
  }
  for (double rows : curve.rows) curve.seconds.push_back(seconds(rows));
  return curve;
}

}  // namespace

DeviceProfile roofline(const GpuSpec& spec, const ModelConfig& config, DType kv_type) {
  const Gpu gpu{spec.bandwidth_gbps * 1e9, spec.half_tflops * 1e12, spec.fp32_tflops * 1e12,
                spec.compute_capability};
  DeviceProfile profile;
  profile.device = spec.name;
  profile.backend = BackendKind::kCuda;
  profile.source = "specification";
  LatencyModel& model = profile.model;
  for (const FormatInfo& row : kFormats) {
    if (row.min_compute_capability > spec.compute_capability) continue;
    const Format format = row.format;
    model.layer[format] = curve_of([&](double n) { return layer_s(gpu, config, format, n); });
    model.head[format] = curve_of([&](double n) { return head_s(gpu, config, format, n); });
  }
  model.prefill_key_s = prefill_key_s(gpu, config);
  model.decode_key_s = decode_key_s(gpu, config, kv_type);
  model.embedding = curve_of([&](double n) { return embedding_s(gpu, config, n); });
  return profile;
}

}  // namespace llmpq
