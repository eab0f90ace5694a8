#include "kernels/product_kernels.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <tuple>

namespace llmpq {
namespace {

/// By how much another kernel must be faster than the usual one.
constexpr double kNoise = 0.02;

using Matrix = std::tuple<Format, int64_t, int64_t>;  // format, n, k

/// The quietest timing of each kernel, and those of all numbers of rows.
using Kernels = std::map<ProductKernel, double>;
using Rows = std::map<int64_t, Kernels>;

ProductKernelSet set_of(const Kernels& seconds) {
  ProductKernelSet there;
  for (const auto& [kernel, taken] : seconds) there.add(kernel);
  return there;
}

/// The kernels of one order alone.
Kernels of_order(const Kernels& seconds, SumOrder order) {
  Kernels result = seconds;
  std::erase_if(result, [&](const auto& each) { return info(each.first).order != order; });
  return result;
}

/// `usual` counts as if it were faster than it is by what may be noise.
ProductKernel fastest(const Kernels& seconds, ProductKernel usual) {
  const auto weighed = [&](const auto& each) {
    return each.second * (each.first == usual ? 1 - kNoise : 1);
  };
  return std::min_element(seconds.begin(), seconds.end(),
                          [&](const auto& a, const auto& b) { return weighed(a) < weighed(b); })
      ->first;
}

double least(const Kernels& seconds) {
  return seconds.at(fastest(seconds, seconds.begin()->first));
}

/// Of few rows: the wide order if its fastest kernels take, in the mean over the numbers of rows,
/// less of the usual order's time than all of it. Without a timing of both there is nothing to
/// judge.
SumOrder order_of(const Rows& few) {
  double shares = 0;
  for (const auto& [rows, seconds] : few) {
    const Kernels usual = of_order(seconds, SumOrder::kFewRows);
    const Kernels wide = of_order(seconds, SumOrder::kFewRowsWide);
    if (usual.empty() || wide.empty()) return SumOrder::kFewRows;
    shares += least(wide) / least(usual);
  }
  const double all = static_cast<double>(few.size());
  return shares < all * (1 - kNoise) ? SumOrder::kFewRowsWide : SumOrder::kFewRows;
}

Rows few_of(const Rows& of_rows) {
  Rows few = of_rows;
  std::erase_if(few, [](const auto& each) { return !is_few(each.first, set_of(each.second)); });
  return few;
}

}  // namespace

std::vector<ProductChoice> choose_products(std::span<const ProductTiming> timings) {
  std::map<Matrix, Rows> matrices;
  for (const ProductTiming& each : timings) {
    auto& seconds = matrices[{each.size.format, each.size.n, each.size.k}][each.size.rows];
    const auto [at, is_new] = seconds.emplace(each.kernel, each.seconds);
    if (!is_new) at->second = std::min(at->second, each.seconds);
  }
  std::vector<ProductChoice> choices;
  for (const auto& [matrix, of_rows] : matrices) {
    const auto [format, n, k] = matrix;
    const Rows few = few_of(of_rows);
    const SumOrder few_order = order_of(few);
    const size_t first = choices.size();
    for (const auto& [rows, seconds] : of_rows) {
      const bool is = few.contains(rows);
      const Kernels mine = of_order(seconds, is ? few_order : SumOrder::kByRows);
      if (mine.empty()) continue;
      const ProductKernel usual = is ? mine.begin()->first : usual_kernel(rows, set_of(mine));
      const ProductKernel kernel = fastest(mine, usual);
      const bool goes_on = choices.size() > first && choices.back().kernel == kernel;
      if (!goes_on) choices.push_back({format, n, k, rows, kernel});
      choices.back().most_rows = rows;
    }
  }
  return choices;
}

std::vector<std::string> describe(std::span<const ProductChoice> choices) {
  std::vector<std::string> texts;
  const ProductChoice* before = nullptr;
  for (const ProductChoice& line : choices) {
    const bool same = before != nullptr && before->format == line.format && before->n == line.n &&
                      before->k == line.k;
    if (!same) texts.push_back(fmt::format("{} [{}, {}]:", name(line.format), line.n, line.k));
    texts.back() +=
        fmt::format("{} up to {} rows {}", same ? "," : "", line.most_rows, name(line.kernel));
    before = &line;
  }
  return texts;
}

}  // namespace llmpq
