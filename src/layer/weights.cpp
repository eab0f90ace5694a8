#include "layer/weights.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <initializer_list>
#include <span>
#include <utility>
#include <vector>

#include "input/tensor_shapes.hpp"
#include "kernels/check.hpp"
#include "kernels/convert.hpp"
#include "kernels/strips.hpp"

namespace llmpq {
namespace {

/// Reads tensors of one layer (0 for those that no layer has) and puts them on the device.
struct Loader {
  const Checkpoint& checkpoint;
  int64_t layer;
  Backend& backend;
  Context& context;
  int64_t strip_bytes;
};

/// A matrix of the checkpoint, or rows of one: [rows, columns].
struct Source {
  TensorRole role;
  int64_t rows, columns;
  int64_t first = 0;  ///< where the rows begin
};

constexpr int64_t kRoundedRows = 64;  ///< by one thread at a time

/// Branch-free, so that it vectorizes.
bool all_finite(const float* values, int64_t count) {
  uint32_t found = 0;
  for (int64_t i = 0; i < count; ++i)
    found |=
        static_cast<uint32_t>((std::bit_cast<uint32_t>(values[i]) & 0x7f800000u) == 0x7f800000u);
  return found == 0;
}

/// Integer formats cannot hold NaN or infinity, which only a damaged checkpoint has.
void check_finite(const Source& source, int64_t layer, Format format, std::span<const float> values,
                  int64_t begin) {
  if (all_finite(values.data(), std::ssize(values))) return;
  const auto bad = std::find_if_not(values.begin(), values.end(),
                                    [](float value) { return std::isfinite(value); });
  const int64_t index = bad - values.begin();
  fail(Exit::kModel,
       "layer {}, {}: row {}, column {} is {}, which cannot be rounded to {}; the checkpoint is "
       "damaged, get it anew",
       layer, name(source.role), source.first + begin + index / source.columns,
       index % source.columns, *bad, name(format));
}

Buffer upload(const Loader& from, std::span<const float> values) {
  const auto bytes = static_cast<int64_t>(values.size_bytes());
  Buffer buffer = from.backend.allocate(bytes);
  from.backend.copy_to_device(from.context, buffer.data(), values.data(), bytes);
  from.context.synchronize();
  return buffer;
}

/// Vectors one after the other.
Buffer load_vectors(const Loader& from, std::initializer_list<TensorRole> roles) {
  std::vector<float> all;
  for (TensorRole role : roles) {
    const std::vector<float> values = from.checkpoint.read_vector(role, from.layer);
    all.insert(all.end(), values.begin(), values.end());
  }
  return upload(from, all);
}

Norm load_norm(const Loader& from, TensorRole role) {
  std::vector<float> weight = from.checkpoint.read_vector(role, from.layer);
  for (float& value : weight) value += from.checkpoint.config().norm_weight_offset;
  return {upload(from, weight), {}};
}

/// With a bias if the model's norms have one.
Norm load_norm(const Loader& from, TensorRole role, TensorRole bias) {
  Norm norm = load_norm(from, role);
  if (from.checkpoint.config().norm_bias) norm.bias = load_vectors(from, {bias});
  return norm;
}

/// A matrix of nothing yet, for sources with the same inputs, their rows one after the other.
Matrix empty_matrix(Backend& backend, Format format, const std::vector<Source>& sources) {
  Matrix matrix;
  matrix.format = format;
  matrix.k = sources.front().columns;
  for (const Source& source : sources) matrix.n += source.rows;
  matrix.packed = backend.allocate(backend.packed_bytes(format, matrix.n, matrix.k));
  return matrix;
}

/// The checkpoint's own integers and scales.
void pack_stored(const Loader& from, Matrix& matrix, int64_t first, const Source& source) {
  const int64_t k = matrix.k, groups = groups_of(k);
  const auto read = [&](int64_t begin, int64_t rows, std::vector<float>& strip) {
    strip.resize(static_cast<size_t>(rows * (k + groups)));
    const auto values = std::span(strip).first(static_cast<size_t>(rows * k));
    const auto scales = std::span(strip).last(static_cast<size_t>(rows * groups));
    from.checkpoint.read_rows(source.role, from.layer, source.first + begin, rows, values);
    from.checkpoint.read_scales(source.role, from.layer, source.first + begin, rows, scales);
  };
  const auto use = [&](int64_t begin, int64_t rows, const std::vector<float>& strip) {
    from.backend.pack_scaled_rows(from.context, matrix, first + begin, rows, strip.data(),
                                  strip.data() + rows * k);
  };
  for_each_strip<float>(source.rows, strip_rows(from.strip_bytes, 4 * k), read, use);
}

Matrix load_matrix(const Loader& from, Format format, const std::vector<Source>& sources) {
  Matrix matrix = empty_matrix(from.backend, format, sources);
  int64_t first = 0;
  for (const Source& source : sources) {
    if (is_layer_matrix(source.role) && is_as_stored(from.checkpoint, format)) {
      pack_stored(from, matrix, first, source);
      first += source.rows;
      continue;
    }
    const auto read = [&](int64_t begin, int64_t rows, std::span<float> values) {
      from.checkpoint.read_rows(source.role, from.layer, source.first + begin, rows, values);
      if (!is_16bit(format)) check_finite(source, from.layer, format, values, begin);
    };
    const auto in_memory = [&](int64_t begin, int64_t rows) {
      return from.checkpoint.rows_in_memory(source.role, from.layer, source.first + begin, rows);
    };
    from.backend.pack_from(from.context, matrix, first, source.rows, from.strip_bytes,
                           {read, in_memory});
    first += source.rows;
  }
  from.checkpoint.check_read();
  return matrix;
}

/// What a product of a layer is made of; with experts kUp and kDown are those of one.
std::vector<Source> sources_of(const ModelConfig& c, Product product, int64_t expert = 0) {
  using enum TensorRole;
  const int64_t q_rows = c.heads * c.head_dim, kv_rows = c.kv_heads * c.head_dim;
  switch (product) {
    case Product::kQkv:
      return {{kQ, q_rows, c.hidden}, {kK, kv_rows, c.hidden}, {kV, kv_rows, c.hidden}};
    case Product::kOut:
      return {{kOut, c.hidden, q_rows}};
    case Product::kUp:
      if (c.gated)
        return {{kGate, c.ffn, c.hidden, expert * c.ffn}, {kUp, c.ffn, c.hidden, expert * c.ffn}};
      return {{kUp, c.ffn, c.hidden, expert * c.ffn}};
    case Product::kDown:
      break;
  }
  return {{kDown, c.hidden, c.ffn, expert * c.hidden}};
}

Source head_source(const ModelConfig& c) {
  return {TensorRole::kHead, c.vocab, c.embedding_columns()};
}

/// What `rounding` makes of the rows.
Matrix load_rounded(const Loader& from, const Rounding& rounding,
                    const std::vector<Source>& sources) {
  Matrix matrix = empty_matrix(from.backend, rounding.format, sources);
  const int64_t k = matrix.k, groups = groups_of(k);
  const int64_t most = rounding.pool.threads() * kRoundedRows;
  std::vector<float> values(static_cast<size_t>(most * k)),
      scales(static_cast<size_t>(most * groups));
  int64_t first = 0;
  for (const Source& source : sources) {
    for (int64_t begin = 0; begin < source.rows; begin += most) {
      const int64_t count = std::min(most, source.rows - begin);
      rounding.pool.parallel_for(count, kRoundedRows, [&](int64_t row, int64_t end, int) {
        const auto part = std::span(values).subspan(static_cast<size_t>(row * k),
                                                    static_cast<size_t>((end - row) * k));
        from.checkpoint.read_rows(source.role, from.layer, source.first + begin + row, end - row,
                                  part);
        check_finite(source, from.layer, rounding.format, part, begin + row);
        rounding.round(end - row, part,
                       std::span(scales).subspan(static_cast<size_t>(row * groups),
                                                 static_cast<size_t>((end - row) * groups)));
      });
      from.backend.pack_scaled_rows(from.context, matrix, first + begin, count, values.data(),
                                    scales.data());
    }
    first += source.rows;
  }
  from.context.synchronize();
  return matrix;
}

/// A table of 16-bit numbers, row-major.
Buffer load_table(const Loader& from, DType type, const Source& source) {
  Buffer table = from.backend.allocate(source.rows * source.columns * size_of(type));
  const auto read = [&](int64_t begin, int64_t rows, std::span<float> values) {
    from.checkpoint.read_rows(source.role, from.layer, begin, rows, values);
  };
  from.backend.fill_table(from.context, {type, source.rows, source.columns, table.data()},
                          from.strip_bytes, {read});
  return table;
}

int64_t bytes_of(const Norm& norm) { return norm.weight.bytes() + norm.bias.bytes(); }

int64_t bytes_of(const Linear& linear) {
  return linear.matrix.packed.bytes() + linear.bias.bytes();
}

int64_t bytes_of(const std::vector<Expert>& experts) {
  int64_t bytes = 0;
  for (const Expert& expert : experts) bytes += bytes_of(expert.up) + bytes_of(expert.down);
  return bytes;
}

void load_experts(const Loader& from, const ModelConfig& c, Format format, LayerWeights& w) {
  using enum TensorRole;
  w.router.matrix = load_matrix(from, format_16bit(c), {{kRouter, c.experts, c.hidden}});
  for (int64_t e = 0; e < c.experts; ++e) {
    Expert expert;
    expert.up.matrix = load_matrix(from, format, sources_of(c, Product::kUp, e));
    expert.down.matrix = load_matrix(from, format, sources_of(c, Product::kDown, e));
    w.experts.push_back(std::move(expert));
  }
}

void load_feed_forward(const Loader& from, const ModelConfig& c, Format format, LayerWeights& w) {
  using enum TensorRole;
  w.up.matrix = load_matrix(from, format, sources_of(c, Product::kUp));
  if (c.ffn_bias)
    w.up.bias = c.gated ? load_vectors(from, {kGateBias, kUpBias}) : load_vectors(from, {kUpBias});
  w.down.matrix = load_matrix(from, format, sources_of(c, Product::kDown));
  if (c.ffn_bias) w.down.bias = load_vectors(from, {kDownBias});
}

}  // namespace

int64_t weight_bytes(const LayerWeights& w) {
  return bytes_of(w.input_norm) + bytes_of(w.qkv) + bytes_of(w.q_norm) + bytes_of(w.k_norm) +
         bytes_of(w.out) + bytes_of(w.attention_norm) + bytes_of(w.post_norm) + bytes_of(w.up) +
         bytes_of(w.down) + bytes_of(w.feed_forward_norm) + bytes_of(w.router) +
         bytes_of(w.experts);
}

int64_t weight_bytes(const EmbeddingWeights& w) {
  return w.table.bytes() + w.positions.bytes() + bytes_of(w.norm) + bytes_of(w.project);
}

int64_t weight_bytes(const HeadWeights& w) {
  return bytes_of(w.norm) + bytes_of(w.project) + bytes_of(w.matrix);
}

LayerWeights load_layer(const Checkpoint& checkpoint, int64_t layer, Format format,
                        Backend& backend, Context& context, int64_t strip_bytes) {
  using enum TensorRole;
  const ModelConfig& c = checkpoint.config();
  const Loader from{checkpoint, layer, backend, context, strip_bytes};
  LayerWeights w;
  w.input_norm = load_norm(from, kInputNorm, kInputNormBias);
  w.qkv.matrix = load_matrix(from, format, sources_of(c, Product::kQkv));
  if (c.qkv_bias) w.qkv.bias = load_vectors(from, {kQBias, kKBias, kVBias});
  if (c.qk_norm) {
    w.q_norm = load_norm(from, kQNorm);
    w.k_norm = load_norm(from, kKNorm);
  }
  w.out.matrix = load_matrix(from, format, sources_of(c, Product::kOut));
  if (c.out_bias) w.out.bias = load_vectors(from, {kOutBias});
  if (!c.shared_norm) w.post_norm = load_norm(from, kPostNorm, kPostNormBias);
  if (c.norm_place == NormPlace::kBoth) {
    w.attention_norm = load_norm(from, kAttentionNorm);
    w.feed_forward_norm = load_norm(from, kFeedForwardNorm);
  }
  if (c.experts > 0)
    load_experts(from, c, format, w);
  else
    load_feed_forward(from, c, format, w);
  return w;
}

bool is_as_stored(const Checkpoint& checkpoint, Format format) {
  const StoredWeights* const stored = checkpoint.stored();
  return stored && !is_16bit(format) && format_of(*stored) == format;
}

Matrix& matrix_of(LayerWeights& weights, Product product, int64_t expert) {
  const bool has_experts = !weights.experts.empty();
  switch (product) {
    case Product::kQkv:
      return weights.qkv.matrix;
    case Product::kOut:
      return weights.out.matrix;
    case Product::kUp:
      return has_experts ? weights.experts.at(static_cast<size_t>(expert)).up.matrix
                         : weights.up.matrix;
    case Product::kDown:
      break;
  }
  return has_experts ? weights.experts.at(static_cast<size_t>(expert)).down.matrix
                     : weights.down.matrix;
}

Matrix load_product(const ProductOf& of, Format format, Backend& backend, Context& context) {
  const Loader from{of.checkpoint, of.layer, backend, context, kStripBytes};
  Matrix matrix =
      load_matrix(from, format, sources_of(of.checkpoint.config(), of.product, of.expert));
  context.synchronize();
  return matrix;
}

Matrix load_product(const ProductOf& of, const Rounding& rounding, Backend& backend,
                    Context& context) {
  const Loader from{of.checkpoint, of.layer, backend, context, kStripBytes};
  return load_rounded(from, rounding, sources_of(of.checkpoint.config(), of.product, of.expert));
}

EmbeddingWeights load_embedding(const Checkpoint& checkpoint, Backend& backend, Context& context,
                                int64_t strip_bytes) {
  using enum TensorRole;
  const ModelConfig& c = checkpoint.config();
  const Loader from{checkpoint, 0, backend, context, strip_bytes};
  EmbeddingWeights w;
  const Format format = format_16bit(c);
  w.type = format == Format::kF16 ? DType::kF16 : DType::kBf16;
  w.table = load_table(from, w.type, {kEmbedding, c.vocab, c.embedding_columns()});
  if (c.projected_width > 0)
    w.project.matrix = load_matrix(from, format, {{kProjectIn, c.hidden, c.projected_width}});
  if (c.position == PositionKind::kLearned)
    w.positions = load_table(from, w.type,
                             {kPositionEmbedding, c.max_positions + c.position_offset, c.hidden});
  if (c.embedding_norm) w.norm = load_norm(from, kEmbeddingNorm, kEmbeddingNormBias);
  return w;
}

HeadWeights load_head_front(const Checkpoint& checkpoint, Backend& backend, Context& context) {
  const ModelConfig& c = checkpoint.config();
  const Loader from{checkpoint, 0, backend, context, kStripBytes};
  HeadWeights w;
  if (c.final_norm) w.norm = load_norm(from, TensorRole::kFinalNorm, TensorRole::kFinalNormBias);
  if (c.projected_width > 0)
    w.project.matrix = load_matrix(from, format_16bit(c),
                                   {{TensorRole::kProjectOut, c.projected_width, c.hidden}});
  return w;
}

HeadWeights load_head(const Checkpoint& checkpoint, Format format, Backend& backend,
                      Context& context, int64_t strip_bytes) {
  HeadWeights w = load_head_front(checkpoint, backend, context);
  w.matrix.matrix = load_matrix({checkpoint, 0, backend, context, strip_bytes}, format,
                                {head_source(checkpoint.config())});
  return w;
}

Matrix load_head_matrix(const Checkpoint& checkpoint, const Rounding& rounding, Backend& backend,
                        Context& context) {
  return load_rounded({checkpoint, 0, backend, context, kStripBytes}, rounding,
                      {head_source(checkpoint.config())});
}

}  // namespace llmpq
