// Rows out of tables and into others: embedding, gathering and adding of rows. Included after a
// lanes_*.hpp.
#pragma once

#include "kernels/convert.hpp"
#include "kernels/cpu/kernel_table.hpp"

namespace llmpq {
namespace {

/// Row `row` of a table [., width] of any float type, as f32.
LLMPQ_INLINE void read_row(const void* table, DType type, int64_t row, int64_t width, float* to) {
  switch (type) {
    case DType::kBf16:
      return bf16_to_f32(static_cast<const uint16_t*>(table) + row * width, to, width);
    case DType::kF16:
      return f16_to_f32(static_cast<const uint16_t*>(table) + row * width, to, width);
    default:
      __builtin_memcpy(to, static_cast<const float*>(table) + row * width,
                       static_cast<size_t>(width) * sizeof(float));
  }
}

LLMPQ_INLINE void add_row(const void* table, DType type, int64_t row, int64_t width, float* to) {
  switch (type) {
    case DType::kBf16: {
      const uint16_t* from = static_cast<const uint16_t*>(table) + row * width;
      for (int64_t i = 0; i < width; ++i) to[i] += bf16_to_f32(from[i]);
      return;
    }
    case DType::kF16: {
      const uint16_t* from = static_cast<const uint16_t*>(table) + row * width;
      for (int64_t i = 0; i < width; ++i) to[i] += f16_to_f32(from[i]);
      return;
    }
    default: {
      const float* from = static_cast<const float*>(table) + row * width;
      for (int64_t i = 0; i < width; ++i) to[i] += from[i];
    }
  }
}

void embed_kernel(const EmbedArgs& args, int64_t begin, int64_t end) {
  for (int64_t t = begin; t < end; ++t) {
    float* y = args.y + t * args.hidden;
    read_row(args.table, args.type, args.ids[t], args.hidden, y);
    if (args.scale != 1.0f)
      for (int64_t i = 0; i < args.hidden; ++i) y[i] *= args.scale;
    if (args.positions != nullptr)
      add_row(args.positions, args.type, args.position[t] + args.position_offset, args.hidden, y);
  }
}

void gather_rows_kernel(const GatherRowsArgs& args, int64_t begin, int64_t end) {
  for (int64_t t = begin; t < end; ++t)
    __builtin_memcpy(args.y + t * args.width, args.x + args.index[t] * args.width,
                     static_cast<size_t>(args.width) * sizeof(float));
}

void add_rows_kernel(const AddRowsArgs& args, int64_t begin, int64_t end) {
  for (int64_t t = begin; t < end; ++t) {
    float* x = args.x + args.index[t] * args.width;
    const float* add = args.add + t * args.width;
    for (int64_t i = 0; i < args.width; ++i) x[i] = __builtin_fmaf(args.weight[t], add[i], x[i]);
  }
}

void add_kernel(const AddArgs& args, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; ++i) args.x[i] += args.add[i];
}

}  // namespace
}  // namespace llmpq
