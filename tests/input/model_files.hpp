// Helpers of the model tests: safetensors files written byte by byte, and the expectation that
// something ends in an Error with a code and parts of a sentence.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>

#include "kernels/check.hpp"

namespace llmpq::test {

inline void write_bytes(const std::filesystem::path& path, const std::string& bytes) {
  std::ofstream file(path, std::ios::binary);
  file << bytes;
  EXPECT_TRUE(file.good()) << path;
}

/// The bytes of a safetensors file: the header's length (or a wrong one), the header, the data.
inline std::string safetensors_bytes(const std::string& header, const std::string& data,
                                     uint64_t length) {
  std::string bytes(sizeof(length), '\0');
  std::memcpy(bytes.data(), &length, sizeof(length));
  return bytes + header + data;
}
inline std::string safetensors_bytes(const std::string& header, const std::string& data) {
  return safetensors_bytes(header, data, header.size());
}

/// Expects `act()` to throw Error with that code and a sentence that has each of `parts`.
template <typename Act, typename... Parts>
void expect_error(Act act, Exit code, const Parts&... parts) {
  try {
    act();
  } catch (const Error& error) {
    EXPECT_EQ(static_cast<int>(error.code()), static_cast<int>(code)) << error.what();
    EXPECT_THAT(error.what(), testing::AllOf(testing::HasSubstr(parts)...));
    return;
  }
  ADD_FAILURE() << "no error";
}

}  // namespace llmpq::test
