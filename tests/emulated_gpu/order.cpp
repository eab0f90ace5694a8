#include "order.hpp"

#include <algorithm>
#include <cstdlib>
#include <numeric>
#include <string>

#include "warp.hpp"

namespace llmpq::emulated {
namespace {

struct Choice {
  Order order = Order::kInOrder;
  uint64_t seed = 1;
};

Choice read_choice() {
  const char* text = std::getenv("LLMPQ_EMULATED_ORDER");
  const std::string wish = text == nullptr ? "in-order" : text;
  if (wish == "in-order") return {};
  if (wish == "reversed") return {Order::kReversed, 1};
  char* end = nullptr;
  const uint64_t seed = std::strtoull(wish.c_str(), &end, 10);
  if (wish.empty() || *end != 0)
    fail("LLMPQ_EMULATED_ORDER=%s: want in-order, reversed or a number", wish.c_str());
  return {Order::kRandom, seed};
}

const Choice& choice() {
  static const Choice read = read_choice();
  return read;
}

/// splitmix64, by Sebastiano Vigna: good from any seed.
uint64_t next_random() {
  static uint64_t state = choice().seed;
  uint64_t z = state += 0x9e3779b97f4a7c15u;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return z ^ z >> 31;
}

}  // namespace

Order order() { return choice().order; }

uint32_t chance(uint32_t below) {
  return static_cast<uint32_t>((next_random() >> 32) * below >> 32);
}

std::vector<uint32_t> ordered(uint32_t count) {
  std::vector<uint32_t> numbers(count);
  std::iota(numbers.begin(), numbers.end(), 0u);
  if (order() == Order::kReversed) std::reverse(numbers.begin(), numbers.end());
  if (order() == Order::kRandom)
    for (uint32_t i = count; i > 1; --i) std::swap(numbers[i - 1], numbers[chance(i)]);
  return numbers;
}

}  // namespace llmpq::emulated
