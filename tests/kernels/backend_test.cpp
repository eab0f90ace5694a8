// The CPU backend: instruction sets by name, memory, devices.
#include <gtest/gtest.h>

#include <sys/mman.h>

#include <cstdio>
#include <fstream>

#include "kernels/check.hpp"
#include "support.hpp"

namespace llmpq::test {
namespace {

class IsaTest : public testing::TestWithParam<std::string> {};

TEST_P(IsaTest, IsTakenWhereItIsAndRefusedWhereNot) {
  if (has_isa(GetParam())) {
    const auto backend = make_cpu_backend(1, GetParam());
    EXPECT_EQ(backend->kind(), BackendKind::kCpu);
    EXPECT_EQ(backend->name(), "cpu");
    EXPECT_EQ(backend->device().isa, GetParam());
    return;
  }
  try {
    make_cpu_backend(1, GetParam());
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Exit::kUsage);
    EXPECT_NE(std::string(error.what()).find("this CPU does not have it"), std::string::npos);
  }
  GTEST_SKIP() << "this CPU has no " << GetParam() << ": only its refusal was tested";
}

INSTANTIATE_TEST_SUITE_P(All, IsaTest, testing::ValuesIn(isa_names()),
                         [](const auto& info) { return info.param; });

TEST(Backend, UnknownInstructionSetsAreRefused) {
  try {
    make_cpu_backend(1, "sse9");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Exit::kUsage);
    EXPECT_NE(std::string(error.what()).find("sse9"), std::string::npos);
  }
}

TEST(Backend, MemoryIsZeroedAndAligned) {
  const auto backend = make_cpu_backend(1, "auto");
  for (const int64_t bytes : {int64_t{1}, int64_t{100}, int64_t{4096}, int64_t{5} << 20}) {
    Buffer buffer = backend->allocate(bytes);
    ASSERT_EQ(buffer.bytes(), bytes);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer.data()) % 64, 0u);
    for (int64_t i = 0; i < bytes; i += 61) ASSERT_EQ(buffer.as<char>()[i], 0);
    std::memset(buffer.data(), 1, static_cast<size_t>(bytes));
  }
  EXPECT_TRUE(backend->allocate(0).empty());
}

TEST(Backend, ABufferOutlivesItsNeighbours) {
  const auto backend = make_cpu_backend(1, "auto");
  std::vector<Buffer> buffers;
  for (int i = 0; i < 40; ++i) {
    const int64_t bytes = i % 2 == 0 ? 3000 : (int64_t{3} << 20) + i;
    buffers.push_back(backend->allocate(bytes));
    std::memset(buffers.back().data(), i, static_cast<size_t>(bytes));
  }
  for (int i = 0; i < 40; ++i)
    if (i % 3 != 0) buffers[i] = Buffer();
  for (int i = 0; i < 40; i += 3)
    for (int64_t at = 0; at < buffers[i].bytes(); ++at)
      ASSERT_EQ(buffers[i].as<char>()[at], i) << "buffer " << i << ", byte " << at;
}

/// KiB of huge pages in the mapping that has `address`; -1 if there is none.
int64_t huge_kib_at(const void* address) {
  std::ifstream in("/proc/self/smaps");
  bool here = false;
  for (std::string line; std::getline(in, line);) {
    unsigned long begin = 0, end = 0;
    if (std::sscanf(line.c_str(), "%lx-%lx ", &begin, &end) == 2)
      here = begin <= reinterpret_cast<uintptr_t>(address) &&
             reinterpret_cast<uintptr_t>(address) < end;
    else if (long long kib = 0; here && std::sscanf(line.c_str(), "AnonHugePages: %lld", &kib) == 1)
      return kib;
  }
  return -1;
}

/// Whether `bytes` of memory that all may be huge pages are such.
bool has_huge_pages(int64_t bytes) {
  const auto size = static_cast<size_t>(bytes);
  void* const memory =
      mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return false;
  madvise(memory, size, MADV_HUGEPAGE);
  std::memset(memory, 1, size);
  const int64_t kib = huge_kib_at(memory);
  munmap(memory, size);
  return kib >= bytes / 1024 * 9 / 10;
}

/// Matrices of a few MiB, each written before the next is made, as when a model is loaded.
TEST(Backend, MatricesLieInHugePages) {
  constexpr int64_t kCount = 20, kBytes = 2'785'280;
  if (!has_huge_pages(kCount * kBytes)) GTEST_SKIP() << "no huge pages here";
  const auto backend = make_cpu_backend(1, "auto");
  std::vector<Buffer> buffers;
  for (int64_t i = 0; i < kCount; ++i) {
    buffers.push_back(backend->allocate(kBytes));
    std::memset(buffers.back().data(), 1, static_cast<size_t>(kBytes));
  }
  EXPECT_GE(huge_kib_at(buffers.back().data()), kCount * kBytes / 1024 * 9 / 10);
}

TEST(Backend, TooMuchMemoryIsNoPlan) {
  const auto backend = make_cpu_backend(1, "auto");
  for (const int64_t bytes : {int64_t{-1}, int64_t{1} << 46, INT64_MAX}) {
    try {
      backend->allocate(bytes);
      FAIL() << bytes;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Exit::kNoPlan);
      EXPECT_NE(std::string(error.what()).find("cannot allocate"), std::string::npos);
    }
  }
}

TEST(Backend, CopiesAndTheDevice) {
  const auto backend = make_cpu_backend(2, "auto");
  const auto context = backend->make_context();
  Buffer buffer = backend->allocate(64);
  const char text[] = "sixteen and some";
  char back[sizeof(text)] = {};
  backend->copy_to_device(*context, buffer.data(), text, sizeof(text));
  backend->copy_to_host(*context, back, buffer.data(), sizeof(text));
  context->synchronize();
  EXPECT_STREQ(back, text);
  const DeviceInfo device = backend->device();
  EXPECT_FALSE(device.name.empty());
  EXPECT_GT(device.memory_bytes, device.free_bytes);
  EXPECT_GT(device.free_bytes, 0);
  EXPECT_EQ(device.compute_units, 2);
}

}  // namespace
}  // namespace llmpq::test
