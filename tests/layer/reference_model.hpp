// The decoder written down plainly, in double, one token after the other, without a cache: what
// the forward pass is compared with. Weights are read back from the packed matrices, so it has the
// same quantized weights and none of the kernels.
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

#include "input/tensor_shapes.hpp"
#include "kernels/cpu/pack.hpp"
#include "layer/observer.hpp"
#include "layer/positions.hpp"
#include "layer/weights.hpp"

namespace llmpq {

using Vector = std::vector<double>;

class ReferenceModel {
 public:
  static constexpr int64_t kMaxModelLen = 128;  ///< of the job: Runner's

  /// Whose product it is: an expert's if there are such, with the router's weight.
  struct Where {
    size_t layer;
    Product product;
    size_t expert = 0;
    double weight = 1;
  };
  /// Told of the inputs and outputs of each product of each token, and of the hidden state after
  /// each layer.
  struct Watch {
    std::function<void(const Where&, const Vector& x, const Vector& y)> product;
    std::function<void(size_t layer, const Vector& hidden)> hidden;
  };

  /// `layers` as they were loaded; embedding and head are taken from the checkpoint.
  ReferenceModel(const Checkpoint& checkpoint, const std::vector<LayerWeights>& layers,
                 Watch watch = {})
      : checkpoint_(checkpoint),
        c_(checkpoint.config()),
        layers_(layers),
        watch_(std::move(watch)) {}

  /// Logits of every position.
  std::vector<Vector> logits(const std::vector<int32_t>& tokens) const {
    std::vector<Vector> hidden;
    for (size_t t = 0; t < tokens.size(); ++t) hidden.push_back(embed(tokens[t], t));
    for (size_t layer = 0; layer < layers_.size(); ++layer) run_layer(layer, hidden);
    std::vector<Vector> all;
    for (const Vector& x : hidden) all.push_back(head(x));
    return all;
  }

 private:
  static Vector vector_of(const Buffer& buffer) {
    const float* values = buffer.as<float>();
    return Vector(values, values + buffer.bytes() / 4);
  }

  std::vector<float> row(TensorRole role, int64_t index) const {
    std::vector<float> values(static_cast<size_t>(shape_of(c_, role)->columns));
    checkpoint_.read_rows(role, 0, index, 1, values);
    return values;
  }

  Vector checkpoint_norm(TensorRole weight, TensorRole bias, const Vector& x) const {
    auto w = checkpoint_.read_vector(weight, 0);
    for (float& value : w) value += c_.norm_weight_offset;
    const auto b = c_.norm_bias ? checkpoint_.read_vector(bias, 0) : std::vector<float>();
    return norm(Vector(w.begin(), w.end()), Vector(b.begin(), b.end()), x);
  }

  Vector norm(const Norm& weights, const Vector& x) const {
    return norm(vector_of(weights.weight), vector_of(weights.bias), x);
  }

  /// The matrix of a role times x.
  Vector checkpoint_product(TensorRole role, const Vector& x) const {
    Vector y;
    for (int64_t n = 0; n < shape_of(c_, role)->rows; ++n) {
      const auto w = row(role, n);
      y.push_back(0);
      for (size_t i = 0; i < x.size(); ++i) y.back() += x[i] * double{w[i]};
    }
    return y;
  }

  Vector norm(const Vector& weight, const Vector& bias, const Vector& x) const {
    const double n = static_cast<double>(x.size());
    double mean = 0, square = 0;
    if (c_.norm == NormArgs::Kind::kLayer)
      for (double v : x) mean += v / n;
    for (double v : x) square += (v - mean) * (v - mean) / n;
    Vector y;
    for (size_t i = 0; i < x.size(); ++i)
      y.push_back((x[i] - mean) / std::sqrt(square + double{c_.norm_eps}) * weight[i] +
                  (bias.empty() ? 0 : bias[i]));
    return y;
  }

  static Vector times(const Linear& linear, const Vector& x) {
    const Matrix& m = linear.matrix;
    std::vector<float> w(static_cast<size_t>(m.k));
    Vector y = linear.bias.empty() ? Vector(static_cast<size_t>(m.n)) : vector_of(linear.bias);
    for (int64_t n = 0; n < m.n; ++n) {
      unpack_row(m, n, w.data());
      for (size_t k = 0; k < x.size(); ++k) y[static_cast<size_t>(n)] += x[k] * double{w[k]};
    }
    return y;
  }

  Vector embed(int32_t token, size_t position) const {
    const auto e = row(TensorRole::kEmbedding, token);
    Vector x(e.begin(), e.end());
    for (double& value : x) value *= double{c_.embedding_scale};
    if (c_.projected_width > 0) x = checkpoint_product(TensorRole::kProjectIn, x);
    if (c_.position == PositionKind::kLearned) {
      const auto p =
          row(TensorRole::kPositionEmbedding, static_cast<int64_t>(position) + c_.position_offset);
      for (size_t i = 0; i < x.size(); ++i) x[i] += double{p[i]};
    }
    if (c_.embedding_norm)
      x = checkpoint_norm(TensorRole::kEmbeddingNorm, TensorRole::kEmbeddingNormBias, x);
    return x;
  }

  Vector head(const Vector& x) const {
    Vector y = x;
    if (c_.final_norm) y = checkpoint_norm(TensorRole::kFinalNorm, TensorRole::kFinalNormBias, y);
    if (c_.projected_width > 0) y = checkpoint_product(TensorRole::kProjectOut, y);
    Vector logits = checkpoint_product(TensorRole::kHead, y);
    for (double& logit : logits) logit = capped(logit, c_.logit_soft_cap);
    return logits;
  }

  Vector product(const Where& where, const Linear& linear, const Vector& x) const {
    Vector y = times(linear, x);
    if (watch_.product) watch_.product(where, x, y);
    return y;
  }

  void run_layer(size_t layer, std::vector<Vector>& hidden) const {
    const LayerWeights& w = layers_[layer];
    const bool after = c_.norm_place == NormPlace::kAfter;
    std::vector<Vector> qkv;
    for (size_t t = 0; t < hidden.size(); ++t) {
      const Vector x = after ? hidden[t] : norm(w.input_norm, hidden[t]);
      qkv.push_back(product({layer, Product::kQkv}, w.qkv, x));
      if (c_.qk_norm) norm_heads(w, qkv.back());
      if (c_.position == PositionKind::kRope) rotate(qkv.back(), t);
    }
    for (size_t t = 0; t < hidden.size(); ++t) {
      Vector& x = hidden[t];
      const Vector input = x;
      Vector attended = product({layer, Product::kOut}, w.out, attend(layer, qkv, t));
      if (c_.norm_place == NormPlace::kBoth) attended = norm(w.attention_norm, attended);
      add(x, attended);
      if (after) x = norm(w.input_norm, x);
      Vector given = feed_forward(layer, feed_forward_input(w, input, x));
      if (c_.norm_place == NormPlace::kBoth) given = norm(w.feed_forward_norm, given);
      add(x, given);
      if (after) x = norm(w.post_norm, x);
      if (watch_.hidden) watch_.hidden(layer, x);
    }
  }

  /// `input`: of the layer; `x`: with what attention gave.
  Vector feed_forward_input(const LayerWeights& w, const Vector& input, const Vector& x) const {
    if (c_.norm_place == NormPlace::kAfter) return x;
    return norm(c_.shared_norm ? w.input_norm : w.post_norm, c_.parallel ? input : x);
  }

  Vector feed_forward(size_t layer, const Vector& x) const {
    const LayerWeights& w = layers_[layer];
    if (c_.experts > 0) return mixed(layer, x);
    return product({layer, Product::kDown}, w.down,
                   activate(product({layer, Product::kUp}, w.up, x)));
  }

  /// What a token's experts give, weighed by the softmax of the router.
  Vector mixed(size_t layer, const Vector& x) const {
    const LayerWeights& w = layers_[layer];
    const Vector logits = times(w.router, x);
    std::vector<size_t> order;
    for (size_t e = 0; e < logits.size(); ++e) order.push_back(e);
    std::ranges::stable_sort(order, [&](size_t a, size_t b) { return logits[a] > logits[b]; });
    const auto chosen = static_cast<size_t>(c_.experts_per_token);
    double total = 0;
    for (size_t i = 0; i < (c_.experts_normalized ? chosen : order.size()); ++i)
      total += std::exp(logits[order[i]] - logits[order[0]]);
    Vector sum(x.size());
    for (size_t i = 0; i < chosen; ++i) {
      const Expert& expert = w.experts[order[i]];
      const double weight = std::exp(logits[order[i]] - logits[order[0]]) / total;
      const Where up{layer, Product::kUp, order[i], weight};
      const Where down{layer, Product::kDown, order[i], weight};
      const Vector given = product(down, expert.down, activate(product(up, expert.up, x)));
      for (size_t j = 0; j < sum.size(); ++j) sum[j] += weight * given[j];
    }
    return sum;
  }

  static void add(Vector& x, const Vector& y) {
    for (size_t i = 0; i < x.size(); ++i) x[i] += y[i];
  }

  static double capped(double x, float cap) {
    return cap > 0 ? double{cap} * std::tanh(x / double{cap}) : x;
  }

  /// RMS norm of each head of q and k.
  void norm_heads(const LayerWeights& w, Vector& qkv) const {
    const auto dim = static_cast<std::ptrdiff_t>(c_.head_dim);
    for (int64_t head = 0; head < c_.heads + c_.kv_heads; ++head) {
      const auto at = qkv.begin() + head * dim;
      const Vector y = norm(head < c_.heads ? w.q_norm : w.k_norm, Vector(at, at + dim));
      std::copy(y.begin(), y.end(), at);
    }
  }

  void rotate(Vector& qkv, size_t position) const {
    const std::vector<float> frequency = rope_frequencies(c_, kMaxModelLen);
    const size_t half = frequency.size(), dim = static_cast<size_t>(c_.head_dim);
    for (size_t head = 0; head < static_cast<size_t>(c_.heads + c_.kv_heads); ++head)
      for (size_t i = 0; i < half; ++i) {
        const double angle = static_cast<double>(position) * double{frequency[i]};
        double& a = qkv[head * dim + i];
        double& b = qkv[head * dim + i + half];
        const double cosine = std::cos(angle) * c_.rope_scaling.attention_factor;
        const double sine = std::sin(angle) * c_.rope_scaling.attention_factor;
        const double turned = a * cosine - b * sine;
        b = b * cosine + a * sine;
        a = turned;
      }
  }

  Vector attend(size_t layer, const std::vector<Vector>& qkv, size_t position) const {
    const size_t heads = static_cast<size_t>(c_.heads), dim = static_cast<size_t>(c_.head_dim);
    const size_t kv_heads = static_cast<size_t>(c_.kv_heads);
    const size_t window = static_cast<size_t>(c_.window[layer]);
    const size_t first = window > 0 && position >= window ? position - window + 1 : 0;
    const std::vector<float> slopes =
        c_.position == PositionKind::kAlibi ? alibi_slopes(c_) : std::vector<float>(heads);
    Vector y(heads * dim);
    for (size_t h = 0; h < heads; ++h) {
      const size_t kv = h / (heads / kv_heads);
      const size_t k_at = (heads + kv) * dim, v_at = (heads + kv_heads + kv) * dim;
      Vector weight;
      double sum = 0;
      for (size_t j = first; j <= position; ++j) {
        double score = 0;
        for (size_t i = 0; i < dim; ++i) score += qkv[position][h * dim + i] * qkv[j][k_at + i];
        score *= c_.attention_scale > 0 ? double{c_.attention_scale}
                                        : 1 / std::sqrt(static_cast<double>(dim));
        score = capped(score, c_.attention_soft_cap);
        weight.push_back(std::exp(score - double{slopes[h]} * static_cast<double>(position - j)));
        sum += weight.back();
      }
      for (size_t j = first; j <= position; ++j)
        for (size_t i = 0; i < dim; ++i)
          y[h * dim + i] += weight[j - first] / sum * qkv[j][v_at + i];
    }
    return y;
  }

  double activated(double x) const {
    switch (c_.activation) {
      case ActivationArgs::Kind::kSilu:
        return x / (1 + std::exp(-x));
      case ActivationArgs::Kind::kRelu:
        return x > 0 ? x : 0;
      case ActivationArgs::Kind::kGeluErf:
        return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0)));
      case ActivationArgs::Kind::kGeluTanh:
        return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
      case ActivationArgs::Kind::kSoftCap:
        break;
    }
    return x;
  }

  Vector activate(const Vector& up) const {
    const size_t ffn = static_cast<size_t>(c_.ffn);
    Vector y;
    for (size_t i = 0; i < ffn; ++i) y.push_back(activated(up[i]) * (c_.gated ? up[ffn + i] : 1));
    return y;
  }

  const Checkpoint& checkpoint_;
  const ModelConfig& c_;
  const std::vector<LayerWeights>& layers_;
  Watch watch_;
};

}  // namespace llmpq
