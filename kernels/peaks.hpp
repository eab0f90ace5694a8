// What a device can do at most, measured: the rates that kernels and whole runs are held against in
// the same run. Used by kernel_bench, llmpq check --peaks and llmpq bench.
#pragma once

#include <cstdint>

#include "kernels/backend.hpp"
#include "kernels/cpu/isa.hpp"

namespace llmpq {

class ThreadPool;

/// Seconds of the wall clock, or of this thread's CPU time: on a machine that others use too, one
/// thread's CPU time is the honest measure.
enum class Clock { kReal, kCpu };
double seconds(Clock clock);

/// Rates of a whole device (for a CPU: of the rank's threads); 0 where it has no such unit. An
/// operation is a product or a sum: a multiply-add counts two.
struct Peaks {
  double read_gbps = 0;    ///< memory: read by a CPU; on a GPU x += add, two streams in and one out
  double f32_gflops = 0;   ///< CPU: multiply-adds from registers with the widest vectors
  double int8_gops = 0;    ///< CPU: VNNI or AMX, or what the instruction set has instead
  double half_gflops = 0;  ///< GPU: a large bf16 product (f16 before compute capability 8.0); CPU:
                           ///< tiles or pairs of bf16 numbers, 0 where they are multiplied as f32
};

/// Of two measurements of one device, rate by rate.
Peaks higher(const Peaks& a, const Peaks& b);

/// The best of several passes, which other work disturbs least. Takes some 0.5 s and 512 MiB on a
/// CPU (1 s and a few GiB, or what is free, on a GPU). `isa` is a CPU's instruction set.
/// Error(kNoPlan) where memory is short.
Peaks measure_peaks(Backend& backend, Isa isa);

struct CpuPeakSizes {
  int64_t read_bytes = int64_t{512} << 20;  ///< more than the caches of most machines
  double pass_s = 0.004;                    ///< of a loop in registers, at least
};
/// Of a CPU alone; kCpu: of one thread.
Peaks measure_cpu_peaks(ThreadPool& pool, Isa isa, Clock clock, const CpuPeakSizes& sizes = {});

/// Of any backend by its operations, as a GPU's are measured: `copy_bytes` for each of two buffers,
/// a product of `size` x `size` x `size`. read_gbps and half_gflops only.
struct OperationSizes {
  int64_t copy_bytes = int64_t{1} << 30;
  int64_t product = 8192;
  double queued_s = 0.1;  ///< operations without a pause, of which the mean counts
};
Peaks measure_operation_peaks(Backend& backend, Context& context, const OperationSizes& sizes);

}  // namespace llmpq
