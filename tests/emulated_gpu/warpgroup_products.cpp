#include "warpgroup_products.hpp"

#include <algorithm>
#include <bit>
#include <deque>
#include <functional>
#include <map>
#include <vector>

#include "warp.hpp"
#include "wgmma_matrix.hpp"

namespace llmpq::emulated {
namespace {

constexpr unsigned kWholeWarp = 0xffffffffu;
constexpr uint32_t kHidden = 0x7fc0dead;  ///< instead of sums under way: a NaN that nothing makes

struct Product {
  LaneProduct lanes[kLanes];
  OfLanes<uint32_t, 4> a;  ///< as the registers were at the beginning
  std::function<void(float* const (&sums)[kLanes])> multiply;
};

/// The values of hidden sums.
struct HiddenSums {
  std::vector<float> of_lane[kLanes];
  int products = 0;  ///< under way
};

struct WarpProducts {
  bool fenced = false;  ///< since the last group
  std::vector<Product> open;
  std::deque<std::vector<Product>> groups;
  std::map<const float*, HiddenSums> hidden;  ///< by lane 0's registers
};

/// What a warpgroup's warps have issued that not all of them have.
struct IssuedProducts {
  std::deque<std::pair<uint64_t, int>> products;
  int64_t first = 0, of_warp[4] = {};
};

void check_same_in_lanes(const LaneProduct* const (&lanes)[kLanes]) {
  for (const LaneProduct* lane : lanes)
    if (lane->descriptor != lanes[0]->descriptor || lane->count != lanes[0]->count)
      fail("wgmma: the warp's lanes name different matrices");
}

void check_same_in_warps(const LaneProduct& lane) {
  auto& issued = state<std::map<int, IssuedProducts>>(Of::kBlock)[warp() / 4];
  const auto at = static_cast<size_t>(issued.of_warp[warp() % 4]++ - issued.first);
  const std::pair mine(lane.descriptor, lane.count);
  if (at == issued.products.size())
    issued.products.push_back(mine);
  else if (issued.products[at] != mine)
    fail("wgmma: the warpgroup's warps name different matrices");
  while (*std::min_element(issued.of_warp, issued.of_warp + 4) > issued.first) {
    issued.products.pop_front();
    ++issued.first;
  }
}

/// sums += A B with what is in shared memory at the moment of the call of this, or of the result.
template <Half kType, int kColumns>
std::function<void(float* const (&)[kLanes])> product_of(const Product& product, bool at_once) {
  const auto descriptor = MatrixDescriptor::of(product.lanes[0].descriptor);
  if (const char* error = descriptor.check()) fail("wgmma: %s", error);
  const auto read = [](uint32_t address) {
    return shared_memory(address_in_block(address, cluster_rank()), 16);
  };
  for (const int part : {0, 1}) read(descriptor.part_address(kColumns - 1, part));
  const auto read_b = [=] { return read_matrix<kType, kColumns>(descriptor, read); };
  const MatrixA a = matrix_a<kType>(product.a);
  if (at_once)
    return [a, b = read_b()](float* const(&sums)[kLanes]) {
      add_product<kColumns>(a, b, 0, 16, sums);
    };
  return
      [a, read_b](float* const(&sums)[kLanes]) { add_product<kColumns>(a, read_b(), 0, 16, sums); };
}

template <Half kType>
std::function<void(float* const (&)[kLanes])> product_of(const Product& product) {
  const bool at_once = chance(2) == 0;
  if (product.lanes[0].count == 64) return product_of<kType, 128>(product, at_once);
  if (product.lanes[0].count == 128) return product_of<kType, 256>(product, at_once);
  fail("wgmma: products with %d sums of a thread are not emulated", product.lanes[0].count);
}

/// Takes the sums' values out of the registers, unless an earlier product has them.
HiddenSums& hide_sums(WarpProducts& warp, const Product& product) {
  HiddenSums& hidden = warp.hidden[product.lanes[0].sums];
  for (int i = 0; i < kLanes; ++i) {
    const auto& [type, sums, count, a, descriptor] = product.lanes[i];
    if (hidden.products == 0) {
      hidden.of_lane[i].assign(sums, sums + count);
      std::fill_n(sums, count, std::bit_cast<float>(kHidden));
    }
  }
  ++hidden.products;
  return hidden;
}

void check_untouched(const Product& product) {
  for (int i = 0; i < kLanes; ++i) {
    const auto& [type, sums, count, a, descriptor] = product.lanes[i];
    if (!std::equal(a, a + 4, product.a[i]))
      fail("wgmma: A's registers (lane %d) were written before wait_group", i);
    const auto is_hidden = [](float sum) { return std::bit_cast<uint32_t>(sum) == kHidden; };
    if (!std::all_of(sums, sums + count, is_hidden))
      fail("wgmma: sums (lane %d) were written before wait_group", i);
  }
}

void finish(WarpProducts& warp, const Product& product) {
  check_untouched(product);
  const auto held = warp.hidden.find(product.lanes[0].sums);
  HiddenSums& hidden = held->second;
  float* sums[kLanes];
  for (int i = 0; i < kLanes; ++i) sums[i] = hidden.of_lane[i].data();
  product.multiply(sums);
  if (--hidden.products > 0) return;
  for (int i = 0; i < kLanes; ++i)
    std::copy(hidden.of_lane[i].begin(), hidden.of_lane[i].end(), product.lanes[i].sums);
  warp.hidden.erase(held);
}

/// What all lanes of a warp call, done once; they return when it is.
template <typename Work>
void once_a_warp(const char* what, Work work) {
  with_warp<char>(
      kWholeWarp, 0, [&](const auto&, const auto&) { work(state<WarpProducts>(Of::kWarp)); }, what);
}

struct ThreadRegisters {
  int count = 0;
};
struct FreeRegisters {
  int count = 0;
};

ThreadRegisters& registers_now(int wanted, int threads) {
  if (wanted % 8 != 0 || wanted < 24 || wanted > 256)
    fail("setmaxnreg %d: want a multiple of 8 from 24 to 256", wanted);
  with_warp<char>(
      kWholeWarp, wanted,
      [](const int* const(&in)[kLanes], const auto&) {
        for (const int* lane : in)
          if (*lane != *in[0]) fail("setmaxnreg: the warp's lanes want different numbers");
      },
      "setmaxnreg");
  constexpr int kRegistersOfSm = 65536, kMostOfThread = 255;
  auto& mine = state<ThreadRegisters>(Of::kThread);
  if (mine.count == 0) mine.count = std::min(kMostOfThread, kRegistersOfSm / threads / 8 * 8);
  return mine;
}

}  // namespace

void start_product(const LaneProduct& mine) {
  with_warp<char>(
      kWholeWarp, mine,
      [](const LaneProduct* const(&lanes)[kLanes], const auto&) {
        auto& warp = state<WarpProducts>(Of::kWarp);
        check_same_in_lanes(lanes);
        check_same_in_warps(*lanes[0]);
        if (!warp.fenced) fail("wgmma: a group begins without wgmma.fence");
        Product& product = warp.open.emplace_back();
        for (int i = 0; i < kLanes; ++i) {
          product.lanes[i] = *lanes[i];
          std::copy_n(lanes[i]->a, 4, product.a[i]);
        }
        product.multiply = product.lanes[0].type == Half::kBf16 ? product_of<Half::kBf16>(product)
                                                                : product_of<Half::kF16>(product);
        hide_sums(warp, product);
      },
      "wgmma");
}

void fence_products() {
  once_a_warp("wgmma.fence", [](WarpProducts& warp) { warp.fenced = true; });
}

void close_products() {
  once_a_warp("wgmma.commit_group", [](WarpProducts& warp) {
    warp.groups.push_back(std::move(warp.open));
    warp.open.clear();
    warp.fenced = false;
  });
}

void wait_for_products(int later) {
  once_a_warp("wgmma.wait_group", [&](WarpProducts& warp) {
    for (; warp.groups.size() > static_cast<size_t>(later); warp.groups.pop_front())
      for (const Product& product : warp.groups.front()) finish(warp, product);
  });
}

void give_registers(int registers, int threads) {
  auto& mine = registers_now(registers, threads);
  if (registers > mine.count)
    fail("setmaxnreg.dec to %d registers of a thread that has %d", registers, mine.count);
  state<FreeRegisters>(Of::kBlock).count += mine.count - registers;
  mine.count = registers;
}

void take_registers(int registers, int threads) {
  auto& mine = registers_now(registers, threads);
  if (registers < mine.count)
    fail("setmaxnreg.inc to %d registers of a thread that has %d", registers, mine.count);
  auto& free = state<FreeRegisters>(Of::kBlock);
  const int more = registers - mine.count;
  wait_for([&] { return free.count >= more; }, "setmaxnreg");
  free.count -= more;
  mine.count = registers;
}

}  // namespace llmpq::emulated
