// Packing of weights on the device: strips of f32 rows go through pinned memory, two in turn, and a
// kernel rounds them into the layout of layout.hpp with the CPU's integers and scales.
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/layout.hpp"

namespace llmpq::cuda {
namespace {

constexpr int kThreads = 256;
/// Of a strip, unless one row is longer: small enough that copying it into pinned memory overlaps
/// with the transfer of the one before.
constexpr int64_t kStripBytes = int64_t{16} << 20;

struct PackTask {
  const float* values;  ///< [rows, k] on the device
  const float* scales;  ///< [rows, groups] on the device; null: from the largest of each group
  int64_t first, rows;  ///< of the matrix
  int64_t k;
  std::byte* packed;
};

__device__ uint16_t round_to_half(float value, __nv_bfloat16) {
  return __bfloat16_as_ushort(__float2bfloat16_rn(value));
}
__device__ uint16_t round_to_half(float value, __half) {
  return __half_as_ushort(__float2half_rn(value));
}

/// One thread: one number; the rest of a row up to a multiple of 8 becomes zeros.
template <typename T>
__global__ void pack_halves_kernel(const PackTask task) {
  begin_kernel();
  const int64_t index = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  const int64_t stride = row_halves(task.k), row = index / stride, input = index % stride;
  if (row >= task.rows) return;
  const float value = input < task.k ? task.values[row * task.k + input] : 0.0f;
  reinterpret_cast<uint16_t*>(task.packed)[task.first * stride + index] = round_to_half(value, T());
}

/// Bits of one word that a lane replaces. Other rows own the word's other bits and may be packed at
/// the same time.
struct WordBits {
  uint32_t* word;
  uint32_t mask, bits;

  __device__ void write() const {
    if (mask == 0) return;
    atomicAnd(word, ~mask);
    atomicOr(word, bits);
  }
};

/// Puts an integer into its tile by way of `open`, which collects bits of the same word.
template <Format kFormat>
__device__ void put(uint32_t* words, int output, int input, int q, WordBits& open) {
  const LanePlace place = place_of(output, input);
  for (int i = 0; i < parts_of(kFormat, place); ++i) {
    const IntegerPart part = part_of(kFormat, place, i);
    if (open.word != words + part.word) {
      open.write();
      open = {words + part.word, 0, 0};
    }
    const uint32_t mask = (1u << part.bits) - 1;
    open.mask |= mask << part.bit;
    open.bits |= ((encode(kFormat, q) >> part.low) & mask) << part.bit;
  }
}

/// One warp: a group of a row, four inputs a lane. The operations are those of
/// kernels/cpu/pack.cpp.
template <Format kFormat>
__global__ void pack_integers_kernel(const PackTask task) {
  begin_kernel();
  constexpr float kMaxAbs = kFormat == Format::kW8 ? 127 : kFormat == Format::kW4 ? 7 : 3;
  const int64_t index = (static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x) / 32;
  const int lane = static_cast<int>(threadIdx.x % 32);
  const int64_t groups = groups_of(task.k), local_row = index / groups, group = index % groups;
  if (local_row >= task.rows) return;
  float value[4], largest = 0;
  for (int i = 0; i < 4; ++i) {
    const int64_t input = group * kGroup + 4 * lane + i;
    value[i] = input < task.k ? task.values[local_row * task.k + input] : 0.0f;
    largest = fmaxf(largest, fabsf(value[i]));
  }
  for (int step = 16; step > 0; step /= 2)
    largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, step));
  const float scale = task.scales ? task.scales[index] : __fdiv_rn(largest, kMaxAbs);
  const float lowest = task.scales ? -kMaxAbs - 1 : -kMaxAbs;  // two's complement has room for it

  const int64_t row = task.first + local_row;
  const int output = static_cast<int>(row % kTileOutputs);
  std::byte* const tile = task.packed + (row / kTileOutputs * groups + group) * tile_bytes(kFormat);
  if (lane == 0) reinterpret_cast<float*>(tile)[output] = scale;
  auto* const words = reinterpret_cast<uint32_t*>(tile + kScaleBytes);
  WordBits open{nullptr, 0, 0};
  for (int i = 0; i < 4; ++i) {
    float q = 0;
    if (scale != 0) {
      constexpr float kShift = 12582912.0f;  // rounds to an integer, ties to even
      q = fminf(fmaxf(__fdiv_rn(value[i], scale), lowest), kMaxAbs);
      q = __fsub_rn(__fadd_rn(q, kShift), kShift);
    }
    put<kFormat>(words, output, 4 * lane + i, static_cast<int>(q), open);
  }
  open.write();
}

void launch_pack(StreamContext& context, Format format, const PackTask& task) {
  const int64_t threads =
      is_16bit(format) ? task.rows * row_halves(task.k) : task.rows * groups_of(task.k) * 32;
  const auto blocks = static_cast<unsigned>(divide_up(threads, kThreads));
  const auto launch = [&](void (*kernel)(PackTask)) {
    launch_kernel(context, "pack kernel", {blocks, kThreads}, kernel, task);
  };
  switch (format) {
    case Format::kBf16:
      return launch(pack_halves_kernel<__nv_bfloat16>);
    case Format::kF16:
      return launch(pack_halves_kernel<__half>);
    case Format::kW8:
      return launch(pack_integers_kernel<Format::kW8>);
    case Format::kW4:
      return launch(pack_integers_kernel<Format::kW4>);
    case Format::kW3:
      return launch(pack_integers_kernel<Format::kW3>);
  }
}

/// The strip whose turn it is, free and of at least so many bytes.
StreamContext::UploadStrip& next_strip(StreamContext& context, int64_t bytes) {
  StreamContext::UploadStrip& strip = context.strips[context.next_strip];
  context.next_strip = 1 - context.next_strip;
  if (strip.done == nullptr)
    CHECK_CUDA(cudaEventCreateWithFlags(&strip.done, cudaEventDisableTiming));
  CHECK_CUDA(cudaEventSynchronize(strip.done));
  if (strip.bytes >= bytes) return strip;
  bytes = std::max(bytes, kStripBytes);
  strip.bytes = 0;
  CHECK_CUDA(cudaFreeHost(std::exchange(strip.pinned, nullptr)));
  CHECK_CUDA(cudaFree(std::exchange(strip.device, nullptr)));
  CHECK_CUDA(cudaMallocHost(&strip.pinned, static_cast<size_t>(bytes)));
  CHECK_CUDA(cudaMalloc(&strip.device, static_cast<size_t>(bytes)));
  strip.bytes = bytes;
  return strip;
}

/// Integer formats take finite numbers only: a scale could not be found for others.
void check_finite(Format format, const float* values, int64_t rows, int64_t k, int64_t first) {
  const auto* bits = reinterpret_cast<const uint32_t*>(values);
  for (int64_t row = 0; row < rows; ++row, bits += k) {
    uint32_t bad = 0;
    for (int64_t i = 0; i < k; ++i) bad |= (bits[i] & 0x7f800000u) == 0x7f800000u;
    if (bad == 0) continue;
    raise(kModel, "weight row %lld: found NaN or infinity, want finite numbers to round to %s",
          static_cast<long long>(first + row), name(format).data());
  }
}

}  // namespace

void pack_rows(StreamContext& context, Matrix& w, int64_t row_begin, int64_t rows,
               const float* values, const float* scales) {
  const int64_t row_bytes = w.k * static_cast<int64_t>(sizeof(float));
  const int64_t scale_bytes =
      scales ? groups_of(w.k) * static_cast<int64_t>(sizeof(float)) : int64_t{0};
  const int64_t most = std::max<int64_t>(1, kStripBytes / row_bytes);
  for (int64_t done = 0; done < rows;) {
    const int64_t count = std::min(most, rows - done);
    const float* const from = values + done * w.k;
    if (!is_16bit(w.format)) check_finite(w.format, from, count, w.k, row_begin + done);
    const auto bytes = static_cast<size_t>(count * row_bytes);
    const auto with_scales = static_cast<size_t>(count * (row_bytes + scale_bytes));
    StreamContext::UploadStrip& strip = next_strip(context, static_cast<int64_t>(with_scales));
    std::memcpy(strip.pinned, from, bytes);
    if (scales)
      std::memcpy(static_cast<std::byte*>(strip.pinned) + bytes, scales + done * groups_of(w.k),
                  with_scales - bytes);
    CHECK_CUDA(cudaMemcpyAsync(strip.device, strip.pinned, with_scales, cudaMemcpyHostToDevice,
                               context.stream));
    const auto* const on_device = static_cast<const float*>(strip.device);
    launch_pack(context, w.format,
                {on_device, scales ? on_device + count * w.k : nullptr, row_begin + done, count,
                 w.k, w.packed.data()});
    CHECK_CUDA(cudaEventRecord(strip.done, context.stream));
    done += count;
  }
  // Products read weights before they wait for the kernel in front of them (launch.cuh). No kernel
  // overtakes a memset, which is all that this one is for: the counter is zero already.
  CHECK_CUDA(cudaMemsetAsync(context.counters, 0, sizeof(unsigned), context.stream));
}

}  // namespace llmpq::cuda
