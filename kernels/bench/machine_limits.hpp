// What this machine can do at most, measured in the same run as the kernels that are held against
// it.
#pragma once

namespace llmpq {

/// Seconds of the wall clock, or of this thread's CPU time: on a machine that others use too, one
/// thread's CPU time is the honest measure.
enum class Clock { kReal, kCpu };
double seconds(Clock clock);

/// Bytes read from memory per second by `threads` threads, in GB/s: the best of several passes over
/// 512 MiB. kCpu: of one thread.
double measure_read_gbps(int threads, Clock clock);

/// f32 multiply-adds from registers, in GFLOP/s (two operations each), with the widest vectors.
double measure_fma_gflops(int threads, Clock clock);

}  // namespace llmpq
