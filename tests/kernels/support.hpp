// What the kernel tests share: random numbers, packed matrices, every instruction set of this
// machine, and comparisons that name the worst element.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "kernels/backend.hpp"
#include "kernels/cpu/isa.hpp"
#include "kernels/cpu/pack.hpp"

namespace llmpq::test {

/// A small generator with the same numbers everywhere (xorshift64*).
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15u + 1) {}
  uint64_t next() {
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    return state_ * 0x2545f4914f6cdd1du;
  }
  /// In [-1, 1).
  float uniform() { return static_cast<float>(static_cast<int64_t>(next()) >> 40) * 0x1p-23f; }
  int64_t below(int64_t limit) { return static_cast<int64_t>(next() >> 33) % limit; }
  std::vector<float> vector(int64_t count, float scale = 1.0f) {
    std::vector<float> values(static_cast<size_t>(count));
    for (float& value : values) value = uniform() * scale;
    return values;
  }

 private:
  uint64_t state_;
};

inline const std::vector<std::string>& isa_names() {
  static const std::vector<std::string> names = {"plain", "avx2", "vnni", "amx"};
  return names;
}

inline bool has_isa(const std::string& text) {
  for (const Isa isa : available_isas())
    if (name(isa) == text) return true;
  return false;
}

/// A backend and a context to run on.
struct Machine {
  std::unique_ptr<Backend> backend;
  std::unique_ptr<Context> context;
  std::string label;

  Machine(int threads, const std::string& isa)
      : backend(make_cpu_backend(threads, isa)),
        context(backend->make_context()),
        label(isa + " with " + std::to_string(threads) + " threads") {}
  const Ops& ops() const { return backend->ops(); }
};

/// One machine for each instruction set here and 1, 2 and 3 threads; plain with 1 thread is first.
inline std::vector<std::unique_ptr<Machine>>& machines() {
  static std::vector<std::unique_ptr<Machine>> all = [] {
    std::vector<std::unique_ptr<Machine>> made;
    for (const Isa isa : available_isas())
      for (const int threads : {1, 2, 3})
        made.push_back(std::make_unique<Machine>(threads, std::string(name(isa))));
    return made;
  }();
  return all;
}

inline Matrix packed_matrix(Machine& machine, Format format, int64_t n, int64_t k,
                            const std::vector<float>& values) {
  Matrix w;
  w.format = format;
  w.n = n;
  w.k = k;
  w.packed = machine.backend->allocate(machine.backend->packed_bytes(format, n, k));
  machine.backend->pack_rows(*machine.context, w, 0, n, values.data());
  return w;
}

/// Values that are integers times the scales of their groups: every integer of the format, and
/// -max_abs - 1.
struct ScaledRows {
  std::vector<float> values;  ///< [n, k]
  std::vector<float> scales;  ///< [n, groups]
};
inline ScaledRows scaled_rows(Format format, int64_t n, int64_t k) {
  const int64_t largest = info(format).max_abs, smallest = -largest - 1;
  ScaledRows rows;
  for (int64_t row = 0; row < n; ++row)
    for (int64_t i = 0; i < k; ++i) {
      if (i % kGroup == 0)
        rows.scales.push_back(0.013f * static_cast<float>(1 + (row * 7 + i) % 9));
      const int64_t q = smallest + (row * 131 + i) % (largest - smallest + 1);
      rows.values.push_back(static_cast<float>(q) * rows.scales.back());
    }
  return rows;
}

/// Fails, naming the worst element, unless |actual - wanted| <= allowed(i) everywhere. NaN fails.
inline void expect_close(const std::vector<float>& actual, const std::vector<double>& wanted,
                         const std::function<double(size_t)>& allowed, const std::string& what) {
  ASSERT_EQ(actual.size(), wanted.size()) << what;
  ASSERT_FALSE(actual.empty()) << what;
  size_t worst = 0;
  double worst_share = -1;
  for (size_t i = 0; i < actual.size(); ++i) {
    const double error = std::fabs(static_cast<double>(actual[i]) - wanted[i]);
    const double share = std::isnan(error) ? INFINITY : error / allowed(i);
    if (share > worst_share) {
      worst_share = share;
      worst = i;
    }
  }
  EXPECT_LE(worst_share, 1.0) << what << ": worst element " << worst << ": got " << actual[worst]
                              << ", want " << wanted[worst] << " +- " << allowed(worst);
}

/// Fails, naming the first element that differs, unless both are the same bits.
inline void expect_same_bits(const std::vector<float>& actual, const std::vector<float>& wanted,
                             const std::string& what) {
  ASSERT_EQ(actual.size(), wanted.size()) << what;
  ASSERT_FALSE(actual.empty()) << what;
  for (size_t i = 0; i < actual.size(); ++i) {
    ASSERT_EQ(std::memcmp(&actual[i], &wanted[i], sizeof(float)), 0)
        << what << ": element " << i << ": got " << actual[i] << ", want " << wanted[i];
  }
}

}  // namespace llmpq::test
