#include "kernels/cpu/linear.hpp"

#include <algorithm>
#include <cassert>

#include "kernels/cpu/context.hpp"
#include "kernels/cpu/pack.hpp"

namespace llmpq {
namespace {

/// Multiplications below which a second thread costs more than it brings.
constexpr int64_t kWorkPerChunk = 1 << 16;

/// The inputs as int8 with a scale and a sum per group, in a context's scratch memory.
struct RoundedInputs {
  int8_t* values;  ///< [tokens, groups * kGroup]
  float* scale;    ///< [tokens, groups]
  int32_t* sum;    ///< [tokens, groups]
};

int64_t rows_per_chunk(int64_t k) { return std::max<int64_t>(1, 16384 / k); }

/// `more` bytes of the scratch memory are left free behind the rounded inputs, at *rest.
RoundedInputs round_to_int8(CpuContext& on, const LinearArgs& args, int64_t more,
                            std::byte** rest) {
  const int64_t k = args.w->k;
  const int64_t groups = groups_of(k);
  const int64_t count = args.tokens * groups;
  std::byte* memory = on.scratch(count * (kGroup + 8) + more);
  RoundedInputs rounded;
  rounded.values = reinterpret_cast<int8_t*>(memory);
  rounded.scale = reinterpret_cast<float*>(memory + count * kGroup);
  rounded.sum = reinterpret_cast<int32_t*>(memory + count * (kGroup + 4));
  *rest = memory + count * (kGroup + 8);
  on.pool().parallel_for(args.tokens, rows_per_chunk(k), [&](int64_t begin, int64_t end, int) {
    for (int64_t t = begin; t < end; ++t)
      on.kernels().quantize_row(args.x + t * k, k, rounded.values + t * groups * kGroup,
                                rounded.scale + t * groups, rounded.sum + t * groups);
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
  const int64_t groups = groups_of(k);
  std::byte* rest = nullptr;
  const RoundedInputs rounded = round_to_int8(on, args, args.tokens * k * 4, &rest);
  float* const to = reinterpret_cast<float*>(rest);
  on.pool().parallel_for(args.tokens, rows_per_chunk(k), [&](int64_t begin, int64_t end, int) {
    for (int64_t t = begin; t < end; ++t)
      on.kernels().dequantize_row(rounded.values + t * groups * kGroup, k,
                                  rounded.scale + t * groups, to + t * k);
  });
  return to;
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

using MatmulKernel = void (*)(const MatmulTask&, int64_t panel, int64_t begin, int64_t end);

/// Items are (rows, panel), panels fastest: neighbours share their rows of x.
void run_panels(CpuContext& on, const MatmulTask& task, MatmulKernel kernel) {
  const int64_t panels = (task.n + kPanel - 1) / kPanel;
  const int64_t pieces = (task.tokens + kRowChunk - 1) / kRowChunk;
  const int64_t rows = pieces > 0 ? (task.tokens + pieces - 1) / pieces : 0;
  const int64_t work = std::max<int64_t>(1, kPanel * task.k * rows);
  const int64_t items = panels * pieces;
  const int64_t share = items / (8 * on.pool().threads());
  const int64_t grain = std::max({kWorkPerChunk / work, std::min<int64_t>(share, 16), int64_t{1}});
  on.pool().parallel_for(items, grain, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t first = i / panels * rows;
      kernel(task, i % panels, first, std::min(first + rows, task.tokens));
    }
  });
}

}  // namespace

void linear(Context& context, const LinearArgs& args) {
  CpuContext& on = cpu(context);
  const Matrix& w = *args.w;
  assert(w.packed.bytes() == packed_bytes(w.format, w.n, w.k));
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
    const RoundedInputs rounded = round_to_int8(on, args, 0, &rest);
    task.x_int8 = rounded.values;
    task.x_scale = rounded.scale;
    task.x_sum = rounded.sum;
    task.x_stride = groups_of(w.k) * kGroup;
    return run_panels(on, task, on.kernels().matmul_int8);
  }
  task.x_stride = w.k;
  task.x = float_inputs(on, args);
  run_panels(on, task, on.kernels().matmul_float);
}

}  // namespace llmpq
