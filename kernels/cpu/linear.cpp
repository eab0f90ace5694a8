#include "kernels/cpu/linear.hpp"

#include <algorithm>
#include <cassert>
#include <span>

#include "kernels/cpu/context.hpp"
#include "kernels/cpu/pack.hpp"

namespace llmpq {
namespace {

/// Multiplications below which a second thread costs more than it brings.
constexpr int64_t kWorkPerChunk = 1 << 16;

int64_t rows_per_chunk(int64_t k) { return std::max<int64_t>(1, 16384 / k); }

/// The inputs as int8 in the context's scratch memory. `more` bytes of it are left free behind
/// them, at *rest.
Int8Rows round_to_int8(CpuContext& on, const LinearArgs& args, int64_t more, std::byte** rest) {
  const int64_t k = args.w->k;
  const int64_t rows = padded_rows(args.tokens), count = groups_of(k) * rows;
  const int64_t bytes = rounded_input_bytes(args.tokens, k);
  std::byte* memory = on.scratch(bytes + more);
  const Int8Rows rounded{
      rows, reinterpret_cast<int8_t*>(memory), reinterpret_cast<float*>(memory + count * kGroup),
      reinterpret_cast<int32_t*>(memory + count * (kGroup + 4)), weight_bias(args.w->format)};
  *rest = memory + bytes;
  on.pool().parallel_for(args.tokens, rows_per_chunk(k), [&](int64_t begin, int64_t end, int) {
    for (int64_t t = begin; t < end; ++t) on.kernels().quantize_row(args.x + t * k, k, rounded, t);
  });
  return rounded;
}

/// Rounded by one of the table's round_to_*.
const float* rounded(CpuContext& on, const LinearArgs& args,
                     void (*round)(const float*, int64_t, float*)) {
  const int64_t k = args.w->k;
  float* const to = reinterpret_cast<float*>(on.scratch(args.tokens * k * 4));
  on.pool().parallel_for(args.tokens, rows_per_chunk(k), [&](int64_t begin, int64_t end, int) {
    round(args.x + begin * k, (end - begin) * k, to + begin * k);
  });
  return to;
}

/// Rounded to int8, then floats again: what kInt8 means for 16-bit weights.
const float* through_int8(CpuContext& on, const LinearArgs& args) {
  const int64_t k = args.w->k;
  std::byte* rest = nullptr;
  const Int8Rows rounded = round_to_int8(on, args, args.tokens * k * 4, &rest);
  float* const to = reinterpret_cast<float*>(rest);
  on.pool().parallel_for(args.tokens, rows_per_chunk(k), [&](int64_t begin, int64_t end, int) {
    for (int64_t t = begin; t < end; ++t) on.kernels().dequantize_row(rounded, k, t, to + t * k);
  });
  return to;
}

/// The inputs as bf16 in the context's scratch memory, by one of the table's round_row_to_*.
Bf16Rows round_rows(CpuContext& on, const LinearArgs& args,
                    void (*round)(const float*, int64_t, const Bf16Rows&, int64_t)) {
  const int64_t k = args.w->k;
  std::byte* const memory = on.scratch(bf16_input_bytes(args.tokens, k));
  const Bf16Rows rounded{padded_rows(args.tokens), reinterpret_cast<uint16_t*>(memory)};
  on.pool().parallel_for(args.tokens, rows_per_chunk(k), [&](int64_t begin, int64_t end, int) {
    for (int64_t t = begin; t < end; ++t) round(args.x + t * k, k, rounded, t);
  });
  return rounded;
}

/// The inputs of a float product.
const float* float_inputs(CpuContext& on, const LinearArgs& args) {
  switch (args.activation) {
    case ActivationType::kF32:
      break;
    case ActivationType::kBf16:
      return rounded(on, args, on.kernels().round_to_bf16);
    case ActivationType::kF16:
      return rounded(on, args, on.kernels().round_to_f16);
    case ActivationType::kInt8:
      return through_int8(on, args);
  }
  return args.x;
}

using MatmulKernel = void (*)(const MatmulTask&, const MatmulCut&, int64_t begin, int64_t end);

int64_t rounded_up(int64_t count, int64_t unit) { return (count + unit - 1) / unit * unit; }

/// Rows up to which a product takes little longer than the reading of its weights.
constexpr int64_t kFewRows = 4;
/// What a thread asks for of the weights that come next: what the memory brings in the time between
/// two products, and a part of the second cache.
constexpr int64_t kAskedBytes = 256 << 10;

/// Packed weights with which `thread` will begin.
LinesAhead first_lines(std::span<const std::byte> packed, int thread, int threads) {
  const int64_t share = std::ssize(packed) / threads;
  const std::byte* const from = packed.data() + share * thread;
  return {from, from + std::min(kAskedBytes, share)};
}

/// Pieces of at most `chunk` rows, of equal sizes as far as `step` divides them. Panels are
/// fastest: neighbours share their rows of x.
void run_panels(CpuContext& on, const MatmulTask& task, MatmulKernel kernel, int64_t chunk,
                int64_t step, std::span<const std::byte> next) {
  if (task.tokens == 0) return;
  const int64_t least = (task.tokens + chunk - 1) / chunk;
  const int64_t rows =
      least == 1 ? task.tokens : rounded_up((task.tokens + least - 1) / least, step);
  const MatmulCut cut{(task.n + kPanel - 1) / kPanel, rows};
  const int64_t items = cut.panels * ((task.tokens + rows - 1) / rows);
  const bool ask = !next.empty() && task.tokens <= kFewRows;
  on.pool().parallel_for(items, std::max(kWorkPerChunk / (kPanel * task.k * rows), int64_t{1}),
                         [&](int64_t begin, int64_t end, int thread) {
                           if (ask)
                             on.pool().lines_ahead(thread) =
                                 first_lines(next, thread, on.pool().threads());
                           kernel(task, cut, begin, end);
                         });
}

}  // namespace

int64_t rounded_input_bytes(int64_t tokens, int64_t k) {
  return groups_of(k) * padded_rows(tokens) * (kGroup + 8);
}

int64_t bf16_input_bytes(int64_t tokens, int64_t k) {
  return groups_of(k) * padded_rows(tokens) * kGroup * 2;
}

void linear(Context& context, const LinearArgs& args) {
  CpuContext& on = cpu(context);
  const Matrix& w = *args.w;
  assert(w.packed.bytes() == packed_bytes(w.format, w.n, w.k));
  assert(args.rounded.type == DType::kF32);
  const KernelTable& table = on.kernels();
  MatmulTask task{};
  task.format = w.format;
  task.n = w.n;
  task.k = w.k;
  task.tokens = args.tokens;
  task.packed = w.packed.as<uint8_t>();
  task.tile_bytes = tile_bytes(w.format, w.k);
  task.group_bytes = group_bytes(w.format);
  task.bias = args.bias;
  task.y = args.y;
  task.y_stride = args.y_stride;
  if (args.activation == ActivationType::kInt8 && !is_16bit(w.format)) {
    std::byte* rest = nullptr;
    task.x_int8 = round_to_int8(on, args, 0, &rest);
    return run_panels(on, task, table.matmul_int8, table.int8_row_chunk, table.int8_row_step,
                      w.next);
  }
  const bool is_bf16 = w.format == Format::kBf16 && args.activation == ActivationType::kBf16;
  if (is_bf16 && args.tokens >= kFewestTileRows && table.matmul_bf16_tiles != nullptr) {
    task.x_bf16 = round_rows(on, args, table.round_row_to_bf16);
    return run_panels(on, task, table.matmul_bf16_tiles, kTileRowChunk, kTileRowStep, w.next);
  }
  if (is_bf16 && table.matmul_bf16_pairs != nullptr) {
    task.x_bf16 = round_rows(on, args, table.round_row_to_pairs);
    return run_panels(on, task, table.matmul_bf16_pairs, kRowChunk, kRowStep, w.next);
  }
  task.x_stride = w.k;
  task.x = float_inputs(on, args);
  run_panels(on, task, is_bf16 ? table.matmul_bf16 : table.matmul_float, kRowChunk, kRowStep,
             w.next);
}

}  // namespace llmpq
