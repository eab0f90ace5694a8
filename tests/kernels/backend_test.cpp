// The CPU backend: instruction sets by name, memory, devices.
#include <gtest/gtest.h>

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
