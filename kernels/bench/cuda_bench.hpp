// What kernel_bench needs on a GPU: the device and the CPU that checks it, memory, a stopwatch, and
// the table that is printed. The cases are in cuda_*_cases.cpp.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "kernels/backend.hpp"

namespace llmpq {

/// What one call moves through device memory at least, and computes.
struct Work {
  double bytes = 0, flops = 0;
};

/// A case: what it is called, and the numbers of one call.
struct BenchCase {
  std::string name;
  Work work;
};

struct CudaBench {
  std::unique_ptr<Backend> device;
  std::unique_ptr<Context> queue;
  std::unique_ptr<Backend> host;  ///< the reference
  std::unique_ptr<Context> threads;
  bool dry = false;         ///< the device is the CPU, sizes are small: only to try out the bench
  bool graphs = false;      ///< launch recorded graphs of 16 calls or more instead of single calls
  bool f32_inputs = false;  ///< products round their inputs themselves, always
  std::string filter;       ///< only cases whose name has this text; with a - before it, lacks it
  double copy_gbps = 0, matmul_tflops = 0;  ///< limits, measured in this run
  int cases = 0, failures = 0;
  uint64_t recordings = 0;

  const Ops& ops() const { return device->ops(); }
  bool wants(const std::string& name) const {
    const bool others = filter.starts_with('-');
    return (name.find(filter.substr(others ? 1 : 0)) != std::string::npos) != others;
  }
};

inline double number(int64_t value) { return static_cast<double>(value); }

/// Numbers in [-1, 1), the same each time.
std::vector<float> bench_numbers(int64_t count, uint32_t seed = 1);

template <typename T>
Buffer upload(Backend& backend, Context& context, const std::vector<T>& values) {
  const auto bytes = static_cast<int64_t>(values.size() * sizeof(T));
  Buffer buffer = backend.allocate(bytes);
  backend.copy_to_device(context, buffer.data(), values.data(), bytes);
  context.synchronize();
  return buffer;
}
template <typename T>
Buffer upload(CudaBench& bench, const std::vector<T>& values) {
  return upload(*bench.device, *bench.queue, values);
}

template <typename T>
std::vector<T> download(CudaBench& bench, const T* device, int64_t count) {
  std::vector<T> values(static_cast<size_t>(count));
  bench.device->copy_to_host(*bench.queue, values.data(), device,
                             count * static_cast<int64_t>(sizeof(T)));
  bench.queue->synchronize();
  return values;
}

/// Seconds of a call: warmed up, then repeated for at least 50 ms without a pause. call(i) queues
/// the i-th call; i % period is all that it may depend on.
double seconds_per_call(CudaBench& bench, int64_t period, const std::function<void(int64_t)>& call);

/// Empty, or a sentence with the worst element: |actual - wanted| <= share * the largest |wanted|,
/// everywhere. NaN never passes.
std::string difference(const std::vector<float>& actual, const std::vector<float>& wanted,
                       double share);

/// Prints one row of the table; `wrong`: a sentence of difference(), counted as a failure.
void print_row(CudaBench& bench, const BenchCase& c, double seconds);
void print_wrong(CudaBench& bench, const std::string& name, const std::string& wrong);

/// The cases, grouped by operation.
void bench_linear_cases(CudaBench& bench);
void bench_attention_cases(CudaBench& bench);
void bench_row_cases(CudaBench& bench);
void bench_sample_cases(CudaBench& bench);

/// The whole benchmark. `device`: "cuda", or "dry". Returns the exit code: 1 if a result was wrong.
int run_cuda_bench(const std::string& device);

}  // namespace llmpq
