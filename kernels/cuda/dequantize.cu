#include "kernels/cuda/dequantize.cuh"

#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/tile.cuh"

namespace llmpq::cuda {
namespace {

constexpr int kThreads = 256;

/// Eight values in a row are stored as one or two times 16 bytes.
__device__ void store_eight(const float* v, float* to) {
  reinterpret_cast<float4*>(to)[0] = {v[0], v[1], v[2], v[3]};
  reinterpret_cast<float4*>(to)[1] = {v[4], v[5], v[6], v[7]};
}
__device__ void store_eight(const float* v, __half* to) {
  __half2 two[4];
  for (int i = 0; i < 4; ++i) two[i] = __floats2half2_rn(v[2 * i], v[2 * i + 1]);
  *reinterpret_cast<uint4*>(to) = *reinterpret_cast<const uint4*>(two);
}
__device__ void store_eight(const float* v, __nv_bfloat16* to) {
  __nv_bfloat162 two[4];
  for (int i = 0; i < 4; ++i) two[i] = __floats2bfloat162_rn(v[2 * i], v[2 * i + 1]);
  *reinterpret_cast<uint4*>(to) = *reinterpret_cast<const uint4*>(two);
}

/// One warp: a tile. Each lane writes eight inputs in a row of two outputs, four times. The
/// integers pass through f16, which every GPU computes with and which has them exactly, in units.
template <Format kFormat, typename To>
__global__ void dequantize_kernel(const std::byte* tiles, int groups, int64_t count, To* to) {
  begin_kernel();
  constexpr float kOne = 1.0f / kUnit<__half>;
  const int64_t index = (static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x) / 32;
  const int lane = static_cast<int>(threadIdx.x % 32);
  const int64_t row = index / groups * kTileOutputs + lane / 4;
  if (row - lane / 4 >= count) return;
  LaneTile<kFormat> tile;
  tiles += index * tile_bytes(kFormat);
  tile.load(tiles, lane);
  const float scale[2] = {tile.scale(tiles, lane, 0), tile.scale(tiles, lane, 1)};
  To* const begin = to + (row * groups + index % groups) * kGroup + lane % 4 * 8;
#pragma unroll
  for (int span = 0; span < kSpans; ++span) {
#pragma unroll
    for (int high = 0; high < 2; ++high) {
      float value[8];
#pragma unroll
      for (int i = 0; i < 4; ++i) {  // registers 0 and 2 of both steps, or 1 and 3
        const uint32_t pair = tile.template pair<__half>(span, i / 2, i % 2 * 2 + high);
        const float2 two = __half22float2(*reinterpret_cast<const __half2*>(&pair));
        value[2 * i] = two.x * kOne * scale[high];
        value[2 * i + 1] = two.y * kOne * scale[high];
      }
      if (row + 8 * high < count)
        store_eight(value, begin + static_cast<int64_t>(8 * high) * groups * kGroup + 32 * span);
    }
  }
}

__device__ float to_float(__half_raw bits, __half) { return __half2float(__half(bits)); }
__device__ float to_float(__half_raw bits, __nv_bfloat16) {
  return __uint_as_float(static_cast<uint32_t>(bits.x) << 16);
}

/// 16-bit weights, one thread for eight inputs. Rows of `from` have a multiple of 8 halves.
template <typename From, typename To>
__global__ void convert_kernel(const uint4* from, int row_eights, int padded_eights, int64_t count,
                               To* to) {
  begin_kernel();
  const int64_t index = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  const int64_t row = index / padded_eights, eight = index % padded_eights;
  if (row >= count) return;
  float value[8] = {};
  if (eight < row_eights) {
    const uint4 four = from[row * row_eights + eight];
    const uint32_t word[4] = {four.x, four.y, four.z, four.w};
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      value[2 * i] = to_float(__half_raw{static_cast<unsigned short>(word[i])}, From());
      value[2 * i + 1] = to_float(__half_raw{static_cast<unsigned short>(word[i] >> 16)}, From());
    }
  }
  store_eight(value, to + 8 * index);
}

struct Piece {
  const Matrix& w;
  int64_t row, count;
};

template <Format kFormat, typename To>
void launch_dequantize(StreamContext& context, const Piece& piece, To* to) {
  const int64_t groups = groups_of(piece.w.k);
  const int64_t tiles = tiles_of(piece.count) * groups;
  const std::byte* from =
      piece.w.packed.data() + piece.row / kTileOutputs * groups * tile_bytes(kFormat);
  const auto blocks = static_cast<unsigned>(divide_up(tiles, kThreads / 32));
  launch_kernel(context, "dequantize_kernel", {blocks, kThreads}, dequantize_kernel<kFormat, To>,
                from, static_cast<int>(groups), piece.count, to);
}

template <typename From, typename To>
void launch_convert(StreamContext& context, const Piece& piece, To* to) {
  const int64_t halves = row_halves(piece.w.k), padded = groups_of(piece.w.k) * kGroup;
  const auto* from = piece.w.packed.as<const uint4>() + piece.row * halves / 8;
  const auto blocks = static_cast<unsigned>(divide_up(piece.count * padded / 8, kThreads));
  launch_kernel(context, "convert_kernel", {blocks, kThreads}, convert_kernel<From, To>, from,
                static_cast<int>(halves / 8), static_cast<int>(padded / 8), piece.count, to);
}

template <typename To>
void dequantize_to(StreamContext& context, const Piece& piece, To* to) {
  switch (piece.w.format) {
    case Format::kBf16:
      return launch_convert<__nv_bfloat16>(context, piece, to);
    case Format::kF16:
      return launch_convert<__half>(context, piece, to);
    case Format::kW8:
      return launch_dequantize<Format::kW8>(context, piece, to);
    case Format::kW4:
      return launch_dequantize<Format::kW4>(context, piece, to);
    case Format::kW3:
      return launch_dequantize<Format::kW3>(context, piece, to);
  }
}

}  // namespace

void dequantize(StreamContext& context, const Matrix& w, int64_t row, int64_t count, DType type,
                void* to) {
  const Piece piece{w, row, count};
  if (type == DType::kBf16) return dequantize_to(context, piece, static_cast<__nv_bfloat16*>(to));
  if (type == DType::kF16) return dequantize_to(context, piece, static_cast<__half*>(to));
  dequantize_to(context, piece, static_cast<float*>(to));
}

}  // namespace llmpq::cuda
