// Which kernel multiplies by a matrix of integers on a GPU: the kernels there are, what must hold
// of the choice among them, and the choice itself. Plain data and arithmetic, for the program
// (which measures), for the CUDA module (which follows), and for tests without a GPU.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/formats.hpp"

namespace llmpq {

enum class ProductKernel : uint8_t {
  kFewRows,       ///< packed weights into tensor cores, bound by memory
  kFewRowsAhead,  ///< the same; weights are asked for ahead of their use
  kFewRowsWide,   ///< one block an SM, with twice the outputs: more rows share what it reads of x
  kFewRowsWideAhead,  ///< both
  kWgmma,             ///< Hopper: dequantized in registers; its own guess of how to cut the product
  kWgmma128,          ///< the same, in pieces of 128 tokens
  kWgmma256,          ///< the same, in pieces of 256 tokens
  kDequantized,       ///< to memory, and cuBLAS
};

/// In which order a kernel adds a row up. Two kernels with the same one give the same bits.
enum class SumOrder : uint8_t {
  kFewRows,
  kFewRowsWide,
  kByRows,  ///< changes with the number of rows: two steps may differ whatever the kernel
};

/// Rows up to which a product with packed integers is always one of the few-rows kernels, where the
/// device has them, and all of one order for a matrix: a row's bits do not depend on the other rows
/// of its step.
inline constexpr int64_t kMostFewRows = 64;
/// Rows up to which Hopper's own kernel is usual: measured on an H200 (kernels/README.md).
inline constexpr int64_t kUsualWgmmaRows = 512;
inline constexpr int64_t kAnyRows = std::numeric_limits<int64_t>::max();

/// Rows [least_rows, most_rows] of a step are what a kernel may be chosen for.
struct ProductKernelInfo {
  ProductKernel kernel;
  std::string_view name;  ///< in profile files
  SumOrder order;
  int64_t least_rows, most_rows;
};
inline constexpr std::array<ProductKernelInfo, 8> kProductKernels{{
    {ProductKernel::kFewRows, "few-rows", SumOrder::kFewRows, 1, kMostFewRows},
    {ProductKernel::kFewRowsAhead, "few-rows-ahead", SumOrder::kFewRows, 1, kMostFewRows},
    {ProductKernel::kFewRowsWide, "few-rows-wide", SumOrder::kFewRowsWide, 1, kMostFewRows},
    {ProductKernel::kFewRowsWideAhead, "few-rows-wide-ahead", SumOrder::kFewRowsWide, 1,
     kMostFewRows},
    {ProductKernel::kWgmma, "wgmma", SumOrder::kByRows, kMostFewRows + 1, kAnyRows},
    {ProductKernel::kWgmma128, "wgmma-128", SumOrder::kByRows, kMostFewRows + 1, kAnyRows},
    {ProductKernel::kWgmma256, "wgmma-256", SumOrder::kByRows, kMostFewRows + 1, kAnyRows},
    {ProductKernel::kDequantized, "dequantized", SumOrder::kByRows, 1, kAnyRows},
}};
constexpr const ProductKernelInfo& info(ProductKernel kernel) {
  return kProductKernels[static_cast<size_t>(kernel)];
}
constexpr std::string_view name(ProductKernel kernel) { return info(kernel).name; }
constexpr std::optional<ProductKernel> parse_product_kernel(std::string_view text) {
  for (const ProductKernelInfo& row : kProductKernels)
    if (row.name == text) return row.kernel;
  return std::nullopt;
}

/// Kernels that a device and a build have, a bit for each.
struct ProductKernelSet {
  uint32_t bits = 0;
  constexpr bool has(ProductKernel kernel) const { return bits >> static_cast<int>(kernel) & 1; }
  constexpr void add(ProductKernel kernel) { bits |= 1u << static_cast<int>(kernel); }
  friend bool operator==(const ProductKernelSet&, const ProductKernelSet&) = default;
};

/// Whether a product of so many rows is one of the few-rows kernels.
constexpr bool is_few(int64_t rows, const ProductKernelSet& there) {
  return rows <= kMostFewRows && there.has(ProductKernel::kFewRows);
}

/// Whether a product of so many rows may run by a kernel.
constexpr bool may_run(ProductKernel kernel, int64_t rows, const ProductKernelSet& there) {
  const ProductKernelInfo& row = info(kernel);
  if (!there.has(kernel) || rows < row.least_rows || rows > row.most_rows) return false;
  return !is_few(rows, there) || row.order != SumOrder::kByRows;
}

/// What runs where nothing else was chosen.
constexpr ProductKernel usual_kernel(int64_t rows, const ProductKernelSet& there) {
  if (may_run(ProductKernel::kFewRows, rows, there)) return ProductKernel::kFewRows;
  if (rows <= kUsualWgmmaRows && may_run(ProductKernel::kWgmma, rows, there))
    return ProductKernel::kWgmma;
  return ProductKernel::kDequantized;
}

/// A line of the choice: products with a matrix [n, k] of a format take `kernel` up to most_rows,
/// from where the line before it ends; beyond the last line the usual one.
struct ProductChoice {
  Format format = Format::kW8;
  int64_t n = 0, k = 0, most_rows = 0;
  ProductKernel kernel = ProductKernel::kDequantized;
  friend bool operator==(const ProductChoice&, const ProductChoice&) = default;
};

/// A product, as far as the choice depends on it.
struct ProductSize {
  Format format = Format::kW8;
  int64_t n = 0, k = 0, rows = 0;
};

/// The first kernel in the table that may run and has the order.
constexpr ProductKernel plain_kernel(SumOrder order, int64_t rows, const ProductKernelSet& there) {
  for (const ProductKernelInfo& each : kProductKernels)
    if (each.order == order && may_run(each.kernel, rows, there)) return each.kernel;
  return usual_kernel(rows, there);
}

/// The kernel of a product: its first line with enough rows, if that kernel may run. Of few rows
/// the matrix's first line decides the order, whatever the others say.
constexpr ProductKernel kernel_for(std::span<const ProductChoice> choices, const ProductSize& size,
                                   const ProductKernelSet& there) {
  const bool few = is_few(size.rows, there);
  const ProductChoice* first = nullptr;
  for (const ProductChoice& line : choices) {
    if (line.format != size.format || line.n != size.n || line.k != size.k) continue;
    if (first == nullptr) first = &line;
    if (line.most_rows < size.rows) continue;
    const bool in_order = !few || info(line.kernel).order == info(first->kernel).order;
    if (in_order && may_run(line.kernel, size.rows, there)) return line.kernel;
    break;
  }
  if (few && first != nullptr) return plain_kernel(info(first->kernel).order, size.rows, there);
  return usual_kernel(size.rows, there);
}

/// How long a kernel took for a product.
struct ProductTiming {
  ProductSize size;
  ProductKernel kernel = ProductKernel::kDequantized;
  double seconds = 0;
};

/// Lines from timings, by format, matrix and rows. Each number of rows that was timed gets the
/// fastest of its kernels, but the usual one unless another is faster by more than noise (2 %): so
/// that the same device chooses the same when it is asked again. Few rows first get an order of
/// sums: the wide one if its fastest kernels take less than 98 % of the others' time, in the mean
/// over the numbers of rows; then the fastest kernel of that order. Neighbouring lines with the
/// same kernel become one. What was timed is what there is; the order of the timings does not
/// matter.
std::vector<ProductChoice> choose_products(std::span<const ProductTiming> timings);

/// For people: one text for each matrix, as
/// "w4 [28672, 4096]: up to 64 rows few-rows-ahead, up to 512 rows wgmma-256".
std::vector<std::string> describe(std::span<const ProductChoice> choices);

}  // namespace llmpq
