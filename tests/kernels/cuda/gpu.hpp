// What the tests of CUDA operations share: the GPU and the CPU that is its reference, and memory
// that goes to the device and comes back. Every fixture derives from GpuTest, which skips where
// there is no GPU.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "kernels/support.hpp"

namespace llmpq::test {

/// The GPU, opened once; nullptr with the reason where there is none.
struct Gpu {
  std::unique_ptr<Backend> backend;
  std::unique_ptr<Context> context;
  std::string why_none;

  static Gpu& get() {
    static Gpu gpu = [] {
      Gpu made;
      const CudaDevices devices = find_cuda_devices();
      made.why_none = devices.why_none;
      if (devices.list.empty()) return made;
      made.backend = make_cuda_backend({});
      made.context = made.backend->make_context();
      return made;
    }();
    return gpu;
  }
};

class GpuTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!Gpu::get().backend) GTEST_SKIP() << "no GPU: " << Gpu::get().why_none;
  }
  static Backend& gpu() { return *Gpu::get().backend; }
  static Context& stream() { return *Gpu::get().context; }
  static Machine& cpu() {
    static Machine machine(0, "auto");
    return machine;
  }
};

/// A vector of the host in the memory of a backend, and back.
template <typename T>
class OnDevice {
 public:
  OnDevice(Backend& backend, Context& context, const std::vector<T>& values)
      : backend_(backend),
        context_(context),
        count_(values.size()),
        buffer_(backend.allocate(static_cast<int64_t>(std::max<size_t>(1, count_) * sizeof(T)))) {
    backend.copy_to_device(context, buffer_.data(), values.data(),
                           static_cast<int64_t>(count_ * sizeof(T)));
    context.synchronize();
  }
  T* data() { return buffer_.template as<T>(); }
  std::vector<T> values() {
    std::vector<T> result(count_);
    backend_.copy_to_host(context_, result.data(), data(),
                          static_cast<int64_t>(count_ * sizeof(T)));
    context_.synchronize();
    return result;
  }

 private:
  Backend& backend_;
  Context& context_;
  size_t count_;
  Buffer buffer_;
};

}  // namespace llmpq::test
