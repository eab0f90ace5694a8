// The CUDA backend itself: devices, memory and its limits, copies, recordings, links, a part of the
// SMs; and what it says where there is no GPU.
#include <gtest/gtest.h>

#include <algorithm>

#include "kernels/check.hpp"
#include "kernels/cuda/gpu.hpp"

namespace llmpq::test {
namespace {

/// Runs everywhere: a machine either has a GPU or says why not.
TEST(CudaDevices, AreListedOrTheReasonIsGiven) {
  const CudaDevices devices = find_cuda_devices();
  EXPECT_EQ(devices.list.empty(), !devices.why_none.empty());
  for (const DeviceInfo& device : devices.list) {
    EXPECT_TRUE(device.uuid.starts_with("GPU-")) << device.uuid;
    EXPECT_GT(device.compute_units, 0);
    EXPECT_GE(device.compute_capability, 60);
  }
}

TEST(CudaDevices, ADeviceThatIsNotThereIsRefused) {
  try {
    make_cuda_backend({.device = 63});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Exit::kGpu);
    EXPECT_NE(std::string(error.what()).find("GPU"), std::string::npos) << error.what();
  }
}

class CudaBackendTest : public GpuTest {};

TEST_F(CudaBackendTest, MemoryIsZeroedAndAligned) {
  for (const int64_t bytes : {int64_t{1}, int64_t{1000}, int64_t{5} << 20}) {
    Buffer buffer = gpu().allocate(bytes);
    ASSERT_EQ(buffer.bytes(), bytes);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer.data()) % 64, 0u);
    std::vector<char> values(static_cast<size_t>(bytes), 1);
    gpu().copy_to_host(stream(), values.data(), buffer.data(), bytes);
    stream().synchronize();
    EXPECT_TRUE(std::all_of(values.begin(), values.end(), [](char c) { return c == 0; }));
  }
  EXPECT_TRUE(gpu().allocate(0).empty());
}

TEST_F(CudaBackendTest, TooMuchMemoryIsNoPlanAndTheGpuGoesOn) {
  for (const int64_t bytes : {int64_t{-1}, int64_t{1} << 46}) {
    try {
      gpu().allocate(bytes);
      FAIL() << bytes;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Exit::kNoPlan) << error.what();
      EXPECT_NE(std::string(error.what()).find("cannot allocate"), std::string::npos);
    }
  }
  EXPECT_FALSE(gpu().allocate(4096).empty());
}

TEST_F(CudaBackendTest, ACapOnMemoryIsKept) {
  const auto capped = make_cuda_backend({.memory_bytes = 64 << 20});
  Buffer first = capped->allocate(40 << 20);
  EXPECT_THROW(capped->allocate(30 << 20), Error);
  first = Buffer();
  EXPECT_EQ(capped->allocate(60 << 20).bytes(), 60 << 20);
}

TEST_F(CudaBackendTest, DeviceTellsWhatIsFree) {
  const DeviceInfo before = gpu().device();
  EXPECT_GT(before.memory_bytes, before.free_bytes);
  Buffer taken = gpu().allocate(int64_t{256} << 20);
  const DeviceInfo after = gpu().device();
  EXPECT_LE(after.free_bytes, before.free_bytes - (int64_t{250} << 20));
  EXPECT_EQ(after.uuid, before.uuid);
}

/// x += y, as often as asked; recorded from the third time on.
TEST_F(CudaBackendTest, RecordedOperationsReadWhatIsThereNow) {
  const int64_t count = 1000;
  OnDevice<float> x(gpu(), stream(), std::vector<float>(count, 1.0f));
  OnDevice<float> y(gpu(), stream(), std::vector<float>(count, 2.0f));
  const auto work = [&] { gpu().ops().add(stream(), {x.data(), y.data(), count}); };
  for (int i = 0; i < 6; ++i) stream().run_recorded(77, work);
  EXPECT_EQ(x.values(), std::vector<float>(count, 13.0f));
  const std::vector<float> tens(count, 10.0f);
  gpu().copy_to_device(stream(), y.data(), tens.data(), count * 4);
  stream().run_recorded(77, work);
  EXPECT_EQ(x.values(), std::vector<float>(count, 23.0f));
}

TEST_F(CudaBackendTest, AFailureWhileRecordingLeavesTheStreamUsable) {
  const auto context = gpu().make_context();
  OnDevice<float> x(gpu(), *context, std::vector<float>(10, 1.0f));
  for (int i = 0; i < 2; ++i) context->run_recorded(5, [] {});
  EXPECT_THROW(context->run_recorded(5, [] { fail(Exit::kInternal, "no"); }), Error);
  gpu().ops().add(*context, {x.data(), x.data(), 10});
  EXPECT_EQ(x.values(), std::vector<float>(10, 2.0f));
}

TEST_F(CudaBackendTest, ScratchThatIsFixedDoesNotGrow) {
  const auto context = gpu().make_context();
  context->reserve_scratch(1 << 12);
  Random random(3);
  const std::vector<float> logits = random.vector(2 * 100000);
  OnDevice<float> values(gpu(), *context, logits);
  Matrix w;
  w.format = Format::kW4;
  w.n = 64;
  w.k = 4096;
  w.packed = gpu().allocate(gpu().packed_bytes(w.format, w.n, w.k));
  OnDevice<float> y(gpu(), *context, std::vector<float>(64 * 40));
  try {
    gpu().ops().linear(*context,
                       {values.data(), &w, nullptr, ActivationType::kBf16, 40, y.data(), 64});
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("were reserved"), std::string::npos) << error.what();
  }
}

/// NCCL with both ends in this process: all that one GPU can show of a link.
TEST_F(CudaBackendTest, ALinkCarriesMessagesInOrder) {
  if (!gpu().why_no_links().empty()) GTEST_SKIP() << gpu().why_no_links();
  const int64_t count = 100000;
  const auto link = gpu().make_link(
      {.id = gpu().new_link_id(), .side = LinkSide::kAlone, .max_count = count, .timeout_s = 60});
  for (int round = 0; round < 5; ++round) {
    Random random(static_cast<uint64_t>(round) + 1);
    const std::vector<float> message = random.vector(count - round);
    OnDevice<float> from(gpu(), stream(), message);
    OnDevice<float> to(gpu(), stream(), std::vector<float>(message.size()));
    link->send(stream(), from.data(), count - round);
    link->receive(stream(), to.data(), count - round);
    EXPECT_EQ(to.values(), message);
  }
  OnDevice<float> x(gpu(), stream(), {1.0f});
  EXPECT_THROW(link->send(stream(), x.data(), count + 1), Error);
}

TEST_F(CudaBackendTest, ANeighbourThatNeverComesIsNoticed) {
  if (!gpu().why_no_links().empty()) GTEST_SKIP() << gpu().why_no_links();
  try {
    gpu().make_link(
        {.id = gpu().new_link_id(), .side = LinkSide::kSender, .max_count = 8, .timeout_s = 2});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Exit::kMpi);
    EXPECT_NE(std::string(error.what()).find("did not end in time"), std::string::npos)
        << error.what();
  }
}

TEST_F(CudaBackendTest, APartOfTheSmsComputesTheSame) {
  const int all = gpu().device().compute_units;
  std::unique_ptr<Backend> part;
  try {
    part = make_cuda_backend({.sms = all / 3});
  } catch (const Error& error) {
    GTEST_SKIP() << error.what();
  }
  EXPECT_GE(part->device().compute_units, all / 3);
  EXPECT_LE(part->device().compute_units, all / 3 + 16);
  const auto context = part->make_context();
  OnDevice<float> x(*part, *context, std::vector<float>(5000, 1.0f));
  part->ops().add(*context, {x.data(), x.data(), 5000});
  EXPECT_EQ(x.values(), std::vector<float>(5000, 2.0f));
  EXPECT_THROW(make_cuda_backend({.sms = all + 1}), Error);
}

}  // namespace
}  // namespace llmpq::test
