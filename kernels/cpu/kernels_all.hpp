// Every kernel, for the instruction set whose lanes_*.hpp was included before: the body of
// kernels_plain.cpp, kernels_avx2.cpp and kernels_avx512.cpp. Those three are compiled with their
// instruction set's flags, so nothing here may come from a shared inline function of the standard
// library: the linker might keep the copy that only the newest CPU can run.
#pragma once

#include "kernels/cpu/activation.hpp"
#include "kernels/cpu/attention.hpp"
#include "kernels/cpu/dense_tile.hpp"
#include "kernels/cpu/embed.hpp"
#include "kernels/cpu/kernel_table.hpp"
#include "kernels/cpu/kv_write.hpp"
#include "kernels/cpu/logits.hpp"
#include "kernels/cpu/matmul_bf16.hpp"
#include "kernels/cpu/matmul_float.hpp"
#include "kernels/cpu/matmul_int8.hpp"
#include "kernels/cpu/norm.hpp"
#include "kernels/cpu/pack_tile.hpp"
#include "kernels/cpu/quantize.hpp"
#include "kernels/cpu/rope.hpp"
#include "kernels/cpu/widen.hpp"

namespace llmpq {
namespace {

constexpr KernelTable kTable = {
    .embed = embed_kernel,
    .norm = norm_kernel,
    .head_norm = head_norm_kernel,
    .add = add_kernel,
    .rope = rope_kernel,
    .activation = activation_kernel,
    .gather_rows = gather_rows_kernel,
    .add_rows = add_rows_kernel,
    .kv_write = kv_write_kernel,
    .attention = attention_kernel,
    .matmul_float = matmul_float_kernel,
    .matmul_bf16 = matmul_bf16_kernel,
    .matmul_bf16_tiles = nullptr,
    .matmul_bf16_pairs = nullptr,
    .matmul_int8 = matmul_int8_kernel,
    .int8_row_chunk = kRowChunk,
    .int8_row_step = kRowStep,
    .quantize_row = quantize_row_kernel,
    .round_row_to_bf16 = round_row_to_bf16_kernel,
    .round_row_to_pairs = nullptr,
    .dequantize_row = dequantize_row_kernel,
    .pack_tile = pack_tile_kernel,
    .pack_scaled_tile = pack_scaled_tile_kernel,
    .widen = widen_kernel,
    .add_dense_tile = add_dense_tile_kernel,
    .round_to_bf16 = round_to_bf16_kernel,
    .round_to_f16 = round_to_f16_kernel,
    .largest = largest_kernel,
    .drop_nonfinite = drop_nonfinite_kernel,
    .divergence = divergence_kernel,
    .exp = exp_kernel,
    .tanh = tanh_kernel,
    .erf = erf_kernel,
};

}  // namespace
}  // namespace llmpq
