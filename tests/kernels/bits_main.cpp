// kernel_bits: runs the CPU's operations on made-up numbers and prints a hash of each one's
// results. tests/other_cpus.sh compares the lines of this machine's plain kernels with another
// processor's.
#include <cstdio>
#include <cstring>
#include <exception>
#include <string>
#include <vector>

#include "kernels/cpu/kernel_table.hpp"
#include "kernels/rope_tables.hpp"
#include "sample_cases.hpp"
#include "support.hpp"

namespace llmpq::test {
namespace {

/// FNV-1a of the numbers' bytes, one line a result.
template <typename T>
void print_hash(const std::string& what, const T* numbers, int64_t count) {
  uint64_t hash = 0xcbf29ce484222325u;
  std::vector<unsigned char> bytes(static_cast<size_t>(count) * sizeof(T));
  std::memcpy(bytes.data(), numbers, bytes.size());
  for (const unsigned char byte : bytes) hash = (hash ^ byte) * 0x100000001b3u;
  std::printf("%s %016llx\n", what.c_str(), static_cast<unsigned long long>(hash));
}

template <typename T>
void print_hash(const std::string& what, const std::vector<T>& numbers) {
  print_hash(what, numbers.data(), std::ssize(numbers));
}

std::string text(const char* what, const std::string& of) { return std::string(what) + " " + of; }

void functions(Random& random) {
  std::vector<float> x = random.vector(5000, 30.0f), y(x.size());
  const KernelTable& plain = kernels(Isa::kPlain);
  plain.exp(x.data(), std::ssize(x), y.data());
  print_hash("exp", y);
  plain.tanh(x.data(), std::ssize(x), y.data());
  print_hash("tanh", y);
  plain.erf(x.data(), std::ssize(x), y.data());
  print_hash("erf", y);
}

void products(Machine& machine, Random& random) {
  constexpr int64_t kRows = 19, kOutputs = 45, kInputs = 300;
  const std::vector<float> weights = random.vector(kOutputs * kInputs, 0.1f),
                           x = random.vector(kRows * kInputs), bias = random.vector(kOutputs);
  for (const FormatInfo& format : kFormats) {
    const Matrix w = packed_matrix(machine, format.format, kOutputs, kInputs, weights);
    print_hash(text("packed", std::string(format.name)), w.packed.data(), w.packed.bytes());
    for (const auto type :
         {ActivationType::kF32, ActivationType::kBf16, ActivationType::kF16, ActivationType::kInt8})
      for (const int64_t rows : {int64_t{1}, kRows}) {
        std::vector<float> y(static_cast<size_t>(rows * kOutputs));
        machine.ops().linear(*machine.context,
                             {x.data(), &w, bias.data(), type, rows, y.data(), kOutputs});
        print_hash(text("product", std::string(format.name) + " " +
                                       std::to_string(static_cast<int>(type)) + " " +
                                       std::to_string(rows)),
                   y);
      }
  }
}

/// Of bf16 numbers whose products are denormal, or almost.
void small_products(Machine& machine, Random& random) {
  constexpr int64_t kRows = 5, kOutputs = 20, kInputs = 333;
  constexpr float kSmall = 0x1p-62f;
  const std::vector<float> weights = random.vector(kOutputs * kInputs, kSmall),
                           x = random.vector(kRows * kInputs, kSmall);
  const Matrix w = packed_matrix(machine, Format::kBf16, kOutputs, kInputs, weights);
  std::vector<float> y(kRows * kOutputs);
  machine.ops().linear(*machine.context,
                       {x.data(), &w, nullptr, ActivationType::kBf16, kRows, y.data(), kOutputs});
  print_hash("small product", y);
}

void rows(Machine& machine, Random& random) {
  constexpr int64_t kTokens = 7, kHidden = 150;
  const std::vector<float> weight = random.vector(kHidden), bias = random.vector(kHidden),
                           add = random.vector(kTokens * kHidden);
  for (const auto kind : {NormArgs::Kind::kRms, NormArgs::Kind::kLayer}) {
    std::vector<float> x = random.vector(kTokens * kHidden), y(x.size());
    machine.ops().norm(*machine.context, {kind, x.data(), add.data(), weight.data(), bias.data(),
                                          1e-5f, kTokens, kHidden, y.data()});
    print_hash("norm", y);
  }
  using Kind = ActivationArgs::Kind;
  for (const Kind kind : {Kind::kSilu, Kind::kRelu, Kind::kGeluErf, Kind::kGeluTanh}) {
    const std::vector<float> x = random.vector(2 * kTokens * kHidden, 5.0f);
    std::vector<float> y(static_cast<size_t>(kTokens * kHidden));
    machine.ops().activation(*machine.context, {kind, true, x.data(), kTokens, kHidden, y.data()});
    print_hash(text("activation", std::to_string(static_cast<int>(kind))), y);
  }
}

/// Rotated queries and keys, the keys and values kept in a cache, and attention over them.
void attention(Machine& machine, Random& random, DType type) {
  constexpr int64_t kHeads = 6, kKvHeads = 2, kDim = 36, kTokens = 75, kBlock = 16, kBlocks = 5;
  constexpr int64_t kStride = (kHeads + 2 * kKvHeads) * kDim;
  std::vector<float> qkv = random.vector(kTokens * kStride, 2.0f), frequencies,
                     y(kTokens * kStride);
  for (int64_t i = 0; i < kDim / 2; ++i)
    frequencies.push_back(1.0f / static_cast<float>(int64_t{1} << i));
  std::vector<float> cosine(kTokens * kDim / 2), sine = cosine;
  rope_tables(cosine.data(), sine.data(), kTokens, kDim / 2, frequencies.data(), 1.0f);
  std::vector<int32_t> position, table;
  for (int32_t i = 0; i < kTokens; ++i) position.push_back(i);
  for (int32_t i = 0; i < kBlocks; ++i) table.push_back(kBlocks - 1 - i);
  machine.ops().rope(*machine.context, {qkv.data(), kStride, position.data(), cosine.data(),
                                        sine.data(), kTokens, kHeads + kKvHeads, kDim, kDim});
  print_hash("rope", qkv);
  std::vector<std::byte> k(kBlocks * kKvHeads * kBlock * kDim * 4), v = k;
  std::vector<float> k_scale(kBlocks * kKvHeads * kBlock), v_scale = k_scale;
  const bool scaled = type == DType::kInt8;
  const KvCache cache{type,
                      kBlocks,
                      kBlock,
                      kKvHeads,
                      kDim,
                      k.data(),
                      v.data(),
                      scaled ? k_scale.data() : nullptr,
                      scaled ? v_scale.data() : nullptr};
  const RowRange range{0, kTokens, 0, 0};
  const RangeList ranges{&range, table.data(), 1, kTokens, kTokens, kTokens, 0};
  const float* const keys = qkv.data() + kHeads * kDim;
  machine.ops().kv_write(*machine.context, {keys, keys + kKvHeads * kDim, kStride, ranges, &cache});
  machine.ops().attention(
      *machine.context, {qkv.data(), kStride, ranges, &cache, kHeads, 0.17f, 0, nullptr, y.data()});
  print_hash(text("cache", std::string(name(type))), k);
  print_hash(text("attention", std::string(name(type))), y);
}

/// Drawn one after the other: compilers for different processors take the arguments of a call in
/// different orders.
SampleRow sample_row(Random& random) {
  SampleRow row = greedy_row();
  row.temperature = 1.2f + random.uniform();
  row.top_p = 0.75f + 0.25f * random.uniform();
  row.min_p = random.below(2) == 0 ? 0.0f : 0.02f;
  row.top_k = static_cast<int32_t>(random.below(60));
  row.repetition = 1.3f + 0.2f * random.uniform();
  row.presence = random.uniform();
  row.logprobs = 5;
  row.bits = random.next();
  return row;
}

void samples(Machine& machine, Random& random) {
  SampleCase made;
  made.vocab = 700;
  made.top = 5;
  for (int i = 0; i < 60; ++i) add_row(made, random, sample_row(random));
  print_hash("logits", made.logits);
  const SampleOutcome got = run_sample(machine, made);
  print_hash("tokens", got.tokens);
  print_hash("logprobs", got.logprobs);
  print_hash("likeliest", got.top_ids);
}

void run() {
  Machine machine(1, "plain");
  Random random(12);
  functions(random);
  products(machine, random);
  small_products(machine, random);
  rows(machine, random);
  for (const DType type : {DType::kF32, DType::kBf16, DType::kF16, DType::kInt8})
    attention(machine, random, type);
  samples(machine, random);
}

}  // namespace
}  // namespace llmpq::test

int main() {
  try {
    llmpq::test::run();
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
