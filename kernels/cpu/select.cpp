#include "kernels/cpu/select.hpp"

#include <algorithm>
#include <array>

#include "kernels/softmax.hpp"

namespace llmpq {
namespace {

/// Keys are looked at in three digits of 11, 11 and 10 bits, the highest first. Each pass sums the
/// measure of the keys that share the digits found so far, by their next digit, and goes down from
/// the largest digit until `wanted` is reached: there lies the cut.
template <typename Measure>
Cut find_cut(std::span<const float> values, uint64_t wanted, Measure measure) {
  struct Digit {
    int shift, bits;
  };
  constexpr std::array<Digit, 3> kDigits{{{21, 11}, {10, 11}, {0, 10}}};
  uint32_t found = 0, known = 0;  // the key's digits so far, and the mask of their bits
  for (const Digit digit : kDigits) {
    std::array<uint64_t, 2048> sums{};
    const uint32_t digit_mask = (1u << digit.bits) - 1;
    for (float value : values) {
      const uint32_t key = order_key(value);
      if ((key & known) == found) sums[(key >> digit.shift) & digit_mask] += measure(value);
    }
    uint32_t at = digit_mask;
    while (sums[at] < wanted && at > 0) wanted -= sums[at--];
    if (sums[at] < wanted) return {};  // all of them together do not reach it
    found |= at << digit.shift;
    known |= digit_mask << digit.shift;
  }
  // The values left are equal: as many of them as it takes.
  const uint64_t each = measure(value_of_key(found));
  return {found, static_cast<int64_t>((wanted + each - 1) / each)};
}

template <typename Visit>
void for_each_kept(Cut cut, std::span<const float> values, Visit visit) {
  for (size_t i = 0; i < values.size(); ++i) {
    const uint32_t key = order_key(values[i]);
    if (key > cut.key || (key == cut.key && cut.ties-- > 0)) visit(i);
  }
}

}  // namespace

Cut cut_by_count(std::span<const float> values, int64_t count) {
  if (count >= static_cast<int64_t>(values.size())) return {};
  return find_cut(values, static_cast<uint64_t>(count), [](float) { return uint64_t{1}; });
}

Cut cut_by_mass(std::span<const float> weights, uint64_t wanted) {
  return find_cut(weights, wanted, [](float weight) { return mass(weight); });
}

void apply(Cut cut, std::span<float> values, float rest) {
  for (float& value : values) {
    const uint32_t key = order_key(value);
    if (key < cut.key || (key == cut.key && cut.ties-- <= 0)) value = rest;
  }
}

std::vector<int32_t> largest(std::span<const float> values, int64_t count) {
  std::vector<int32_t> indices;
  for_each_kept(cut_by_count(values, count), values,
                [&](size_t i) { indices.push_back(static_cast<int32_t>(i)); });
  std::stable_sort(indices.begin(), indices.end(), [&](int32_t a, int32_t b) {
    return values[static_cast<size_t>(a)] > values[static_cast<size_t>(b)];
  });
  return indices;
}

}  // namespace llmpq
