// What the GPU tests of KV writes and attention share: layouts, a paged cache with shuffled blocks
// on the host and on the GPU, rows of two sequences, and steps cut from them.
#pragma once

#include <algorithm>

#include "kernels/convert.hpp"
#include "kernels/cuda/gpu.hpp"

namespace llmpq::test {

struct Layout {
  DType type;
  int64_t heads, kv_heads, head_dim, block_tokens;
  int64_t window = 0;
  bool alibi = false;
  float soft_cap = 0;
};

inline std::string label(const Layout& s) {
  return std::string(name(s.type)) + "_" + std::to_string(s.heads) + "_" +
         std::to_string(s.kv_heads) + "_" + std::to_string(s.head_dim) + "_" +
         std::to_string(s.block_tokens) + "_" + std::to_string(s.window) +
         (s.alibi ? "_alibi" : "") + (s.soft_cap > 0 ? "_cap" : "");
}

inline std::vector<Layout> layouts() {
  std::vector<Layout> all;
  for (const DType type : {DType::kF32, DType::kBf16, DType::kF16, DType::kInt8}) {
    all.push_back({type, 4, 4, 32, 16});
    all.push_back({type, 8, 2, 64, 16});
    all.push_back({type, 20, 1, 64, 32, 0, true});  // more heads than rows of a product
    all.push_back({type, 8, 1, 80, 16, 100});
    all.push_back({type, 2, 2, 96, 8, 300, true});
    all.push_back({type, 8, 1, 128, 16});
    all.push_back({type, 2, 2, 128, 64, 1});
    all.push_back({type, 4, 1, 256, 16});
    all.push_back({type, 6, 2, 64, 24, 70});  // blocks that are no power of two
    all.push_back({type, 3, 3, 20, 16, 0, true});
    all.push_back({type, 2, 1, 301, 5});
    all.push_back({type, 4, 2, 64, 16, 70, false, 1.5f});
  }
  return all;
}

inline constexpr int64_t kSequences = 2;
inline constexpr int64_t kTokens = 1500;

/// Consecutive rows of one sequence in a step.
struct Cut {
  int64_t sequence, position, rows;
};

/// A cache on the host, its blocks shuffled. What is not written is NaN (int8: by its scales), so
/// that a key too many cannot hide.
struct HostCache {
  Layout s;
  KvCache view;
  std::vector<std::byte> k, v;
  std::vector<float> k_scale, v_scale;
  std::vector<int32_t> table;  ///< of sequence 0, then of sequence 1

  explicit HostCache(const Layout& setup) : s(setup) {
    const int64_t blocks = kSequences * blocks_each() + 1;
    const int64_t slots = blocks * s.kv_heads * s.block_tokens;
    k.resize(static_cast<size_t>(slots * s.head_dim * size_of(s.type)), std::byte{0xff});
    v = k;
    k_scale.resize(s.type == DType::kInt8 ? static_cast<size_t>(slots) : 0, NAN);
    v_scale = k_scale;
    for (int64_t i = 0; i < blocks - 1; ++i) table.push_back(static_cast<int32_t>(i + 1));
    Random random(21);
    for (size_t i = table.size() - 1; i > 0; --i) std::swap(table[i], table[random.below(i + 1)]);
    view = {s.type,   blocks,   s.block_tokens, s.kv_heads,    s.head_dim,
            k.data(), v.data(), k_scale.data(), v_scale.data()};
  }
  HostCache(const HostCache&) = delete;

  int64_t blocks_each() const { return (kTokens + s.block_tokens - 1) / s.block_tokens; }
  int64_t slot(int64_t sequence, int64_t position, int64_t head) const {
    const int64_t block = table[sequence * blocks_each() + position / s.block_tokens];
    return (block * s.kv_heads + head) * s.block_tokens + position % s.block_tokens;
  }
  /// One token's head as numbers.
  void read(bool of_v, int64_t slot, double* to) const {
    const std::byte* at = (of_v ? v : k).data() + slot * s.head_dim * size_of(s.type);
    for (int64_t i = 0; i < s.head_dim; ++i, at += size_of(s.type)) {
      uint16_t half = 0;
      float full = 0;
      std::memcpy(&half, at, std::min<size_t>(2, size_of(s.type)));
      if (s.type == DType::kF32) std::memcpy(&full, at, 4);
      to[i] = s.type == DType::kBf16  ? bf16_to_f32(half)
              : s.type == DType::kF16 ? f16_to_f32(half)
              : s.type == DType::kF32 ? full
                                      : static_cast<double>(static_cast<int8_t>(*at)) *
                                            (of_v ? v_scale : k_scale)[slot];
    }
  }
};

/// The rows of both sequences: q, k, v side by side in rows of `stride` floats (an odd number).
struct Inputs {
  Layout s;
  int64_t stride;
  std::vector<float> qkv, slopes;
  float scale;

  explicit Inputs(const Layout& setup) : s(setup) {
    stride = ((s.heads + 2 * s.kv_heads) * s.head_dim) | 1;
    Random random(static_cast<uint64_t>(s.head_dim * 7 + s.heads));
    qkv = random.vector(kSequences * kTokens * stride, 2.0f);
    scale = 1.0f / std::sqrt(static_cast<float>(s.head_dim));
    for (int64_t h = 0; h < s.heads; ++h) slopes.push_back(std::exp2(-1.0f * (h % 8 + 2)));
    for (int64_t sequence = 0; sequence < kSequences; ++sequence)
      for (int64_t p = 0; p < kTokens; ++p) aim(sequence, p, random);
  }
  /// Half of the q look for one key alone, so that each key counts.
  void aim(int64_t sequence, int64_t p, Random& random) {
    const int64_t first = s.window > 0 ? std::max<int64_t>(0, p - s.window + 1) : 0;
    for (int64_t h = p % 2; h < s.heads; h += 2) {
      const float* k = row(sequence, first + random.below(p - first + 1)) +
                       (s.heads + h / (s.heads / s.kv_heads)) * s.head_dim;
      for (int64_t i = 0; i < s.head_dim; ++i) row(sequence, p)[h * s.head_dim + i] = 2 * k[i];
    }
  }
  float* row(int64_t sequence, int64_t p) { return qkv.data() + (sequence * kTokens + p) * stride; }
  const float* row(int64_t sequence, int64_t p) const {
    return qkv.data() + (sequence * kTokens + p) * stride;
  }
};

/// A step's rows and ranges, on the host.
struct Step {
  std::vector<float> rows;
  std::vector<RowRange> ranges;
  int64_t most_rows = 0, most_tokens = 0, singles = 0;

  Step(const Inputs& in, const HostCache& cache, const std::vector<Cut>& cuts) {
    int64_t begin = 0;
    for (const Cut& cut : cuts) {
      ranges.push_back({static_cast<int32_t>(begin), static_cast<int32_t>(cut.rows),
                        static_cast<int32_t>(cut.position),
                        static_cast<int32_t>(cut.sequence * cache.blocks_each())});
      const float* from = in.row(cut.sequence, cut.position);
      rows.insert(rows.end(), from, from + cut.rows * in.stride);
      begin += cut.rows;
      most_rows = std::max(most_rows, cut.rows);
      most_tokens = std::max(most_tokens, cut.position + cut.rows);
      if (cut.rows == 1) ++singles;
    }
  }
  RangeList list(const RowRange* at, const int32_t* table, int64_t stride) const {
    return {at,
            table,
            static_cast<int64_t>(ranges.size()),
            static_cast<int64_t>(rows.size()) / stride,
            most_rows,
            most_tokens,
            singles};
  }
};

/// Writes all rows of both sequences into a host's cache with the CPU's kernels.
inline void fill(Machine& cpu, const Inputs& in, HostCache& cache) {
  const Step step(in, cache, {{0, 0, kTokens}, {1, 0, kTokens}});
  const float* k = step.rows.data() + in.s.heads * in.s.head_dim;
  const RangeList ranges = step.list(step.ranges.data(), cache.table.data(), in.stride);
  cpu.ops().kv_write(*cpu.context,
                     {k, k + in.s.kv_heads * in.s.head_dim, in.stride, ranges, &cache.view});
}

/// A copy of a cache on the GPU.
struct GpuCache {
  OnDevice<std::byte> k, v;
  OnDevice<float> k_scale, v_scale;
  OnDevice<int32_t> table;
  KvCache view;

  GpuCache(Backend& gpu, Context& stream, const HostCache& from)
      : k(gpu, stream, from.k),
        v(gpu, stream, from.v),
        k_scale(gpu, stream, from.k_scale),
        v_scale(gpu, stream, from.v_scale),
        table(gpu, stream, from.table),
        view(from.view) {
    view.k = k.data();
    view.v = v.data();
    view.k_scale = k_scale.data();
    view.v_scale = v_scale.data();
  }
};

}  // namespace llmpq::test
