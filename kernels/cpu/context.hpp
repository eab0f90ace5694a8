// What a CPU operation runs on: kernels of an instruction set, the backend's threads, and scratch
// memory that grows to what the largest operation needs.
#pragma once

#include <cstdint>

#include "kernels/backend.hpp"
#include "kernels/cpu/kernel_table.hpp"
#include "kernels/cpu/thread_pool.hpp"

namespace llmpq {

class CpuContext final : public Context {
 public:
  CpuContext(const KernelTable& kernels, ThreadPool& pool) : kernels_(kernels), pool_(pool) {}
  void synchronize() override {}  // every operation is done when its call returns

  const KernelTable& kernels() const { return kernels_; }
  ThreadPool& pool() { return pool_; }

  /// 64-byte aligned memory, valid until the next call; its content is undefined. For an
  /// operation's own use: not shared by two threads that run operations.
  std::byte* scratch(int64_t bytes);

 private:
  const KernelTable& kernels_;
  ThreadPool& pool_;
  Buffer scratch_;
};

inline CpuContext& cpu(Context& context) { return static_cast<CpuContext&>(context); }

/// Zeroed memory of this machine, 64-byte aligned, in huge pages where it is large.
/// Error(kNoPlan) when there is not so much.
Buffer allocate_host(int64_t bytes);

/// The CPU's operations; their Context must be a CpuContext.
const Ops& cpu_ops();

}  // namespace llmpq
