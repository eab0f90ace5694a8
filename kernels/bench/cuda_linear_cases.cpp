// Products of kernel_bench on a GPU: the matrices of Llama 3.1 8B in every format, and with
// integers by every kernel among which there is a choice. Bytes are those that must move: weights,
// inputs, outputs.
#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <optional>

#include "kernels/bench/cuda_bench.hpp"
#include "kernels/convert.hpp"

namespace llmpq {
namespace {

/// Enough copies of the weights that a call finds none of them in an L2 of 60 MB.
constexpr int64_t kColdBytes = int64_t{192} << 20;
constexpr int64_t kCheckedRows = 2;  ///< by the CPU, first
constexpr int64_t kCheckedOutputs = 64;

struct Shape {
  const char* name;
  int64_t n, k;
};

/// Weights of one shape on the device, as often as it takes to keep them out of the caches, and
/// the products of the first rows of inputs with the first outputs, by the CPU.
struct LinearData {
  std::vector<Matrix> copies;
  std::vector<float> wanted;  ///< [kCheckedRows, kCheckedOutputs]
};

Matrix packed(Backend& backend, Context& context, Format format, int64_t n, int64_t k,
              const std::vector<float>& values) {
  Matrix w;
  w.format = format;
  w.n = n;
  w.k = k;
  w.packed = backend.allocate(backend.packed_bytes(format, n, k));
  backend.pack_rows(context, w, 0, n, values.data());
  context.synchronize();
  return w;
}

void add_copies(CudaBench& bench, std::vector<Matrix>& copies) {
  const Matrix& first = copies[0];
  const int64_t bytes = first.packed.bytes();
  const int64_t wanted = bench.dry ? 2 : (kColdBytes + bytes - 1) / bytes;
  const std::vector<std::byte> content = download(bench, first.packed.data(), bytes);
  std::vector<Matrix> more;
  for (int64_t i = 1; i < wanted; ++i) {
    Matrix& copy = more.emplace_back();
    copy.format = first.format;
    copy.n = first.n;
    copy.k = first.k;
    copy.packed = upload(bench, content);
  }
  for (Matrix& copy : more) copies.push_back(std::move(copy));
}

LinearData linear_data(CudaBench& bench, Format format, const Shape& shape,
                       const std::vector<float>& values, const std::vector<float>& x) {
  LinearData data;
  data.copies.push_back(packed(*bench.device, *bench.queue, format, shape.n, shape.k, values));
  add_copies(bench, data.copies);
  const Matrix w = packed(*bench.host, *bench.threads, format, kCheckedOutputs, shape.k, values);
  data.wanted.resize(static_cast<size_t>(kCheckedRows * kCheckedOutputs));
  bench.host->ops().linear(*bench.threads,
                           {x.data(), &w, nullptr, bench.device->default_activation(format),
                            kCheckedRows, data.wanted.data(), kCheckedOutputs});
  return data;
}

/// The first outputs of the first rows of y.
std::vector<float> corner(CudaBench& bench, const float* y, int64_t rows, int64_t width) {
  const std::vector<float> all = download(bench, y, rows * width);
  std::vector<float> result;
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t i = 0; i < kCheckedOutputs; ++i)
      result.push_back(all[static_cast<size_t>(row * width + i)]);
  return result;
}

/// The inputs of products on the device, and as stages have them where products take them so:
/// rounded by the operation before.
struct LinearInputs {
  Buffer x, bf16, f16;

  LinearInputs(CudaBench& bench, const std::vector<float>& values) : x(upload(bench, values)) {
    std::vector<uint16_t> halves(values.size());
    f32_to_bf16(values.data(), halves.data(), std::ssize(values));
    bf16 = upload(bench, halves);
    f32_to_f16(values.data(), halves.data(), std::ssize(values));
    f16 = upload(bench, halves);
  }
  RoundedRows rounded(DType type) {
    if (type == DType::kF32) return {};
    return {type, (type == DType::kBf16 ? bf16 : f16).data()};
  }
};

struct LinearRun {
  const Shape& shape;
  const LinearData& data;
  LinearInputs& inputs;
  float* y;
};

struct LinearCase {
  std::string name;
  int64_t rows;
  std::optional<ProductKernel> kernel;  ///< none: there is no choice
};

/// Each number of rows, by each kernel of the device that may run it; only those that are wanted.
std::vector<LinearCase> cases_of(CudaBench& bench, Format format, const Shape& shape,
                                 const std::vector<int64_t>& all_rows) {
  const ProductKernelSet there =
      bench.device->product_kernels(*bench.queue, bench.device->default_activation(format));
  std::vector<LinearCase> cases;
  for (const int64_t rows : all_rows) {
    const std::string name = fmt::format("linear {} {} {}x{}, {} rows", llmpq::name(format),
                                         shape.name, shape.n, shape.k, rows);
    const size_t before = cases.size();
    for (const ProductKernelInfo& each : kProductKernels)
      if (!is_16bit(format) && may_run(each.kernel, rows, there))
        cases.push_back({fmt::format("{}, {}", name, each.name), rows, each.kernel});
    if (cases.size() == before) cases.push_back({name, rows, std::nullopt});
  }
  std::erase_if(cases, [&](const LinearCase& c) { return !bench.wants(c.name); });
  return cases;
}

void bench_linear(CudaBench& bench, const LinearRun& run, const LinearCase& c) {
  const auto& [shape, data, inputs, y] = run;
  const Format format = data.copies[0].format;
  std::vector<ProductChoice> choice;
  if (c.kernel) choice.push_back({format, shape.n, shape.k, kAnyRows, *c.kernel});
  bench.device->choose_products(choice);
  LinearArgs args{inputs.x.as<float>(),
                  &data.copies[0],
                  nullptr,
                  bench.device->default_activation(format),
                  c.rows,
                  y,
                  shape.n};
  if (!bench.f32_inputs) args.rounded = inputs.rounded(bench.ops().input_type(*bench.queue, args));
  const auto call = [&](int64_t i) {
    args.w = &data.copies[static_cast<size_t>(i)];
    bench.ops().linear(*bench.queue, args);
  };
  call(0);
  const int64_t checked = std::min(c.rows, kCheckedRows);
  std::vector<float> wanted = data.wanted;
  wanted.resize(static_cast<size_t>(checked * kCheckedOutputs));
  // Weights may be rounded to 16 bits for the largest products: 2^-9 of each.
  const std::string wrong = difference(corner(bench, y, checked, shape.n), wanted, 0.01);
  if (!wrong.empty()) return print_wrong(bench, c.name, wrong);
  const double seconds = seconds_per_call(bench, std::ssize(data.copies), call);
  print_row(bench,
            {c.name,
             {number(data.copies[0].packed.bytes() + c.rows * (shape.n + shape.k) * 4),
              2.0 * number(c.rows) * number(shape.n) * number(shape.k)}},
            seconds);
}

}  // namespace

void bench_linear_cases(CudaBench& bench) {
  const int64_t cut = bench.dry ? 16 : 1;
  std::vector<int64_t> all_rows{1, 4, 8, 16, 32, 64, 128, 512, 2048};
  if (bench.dry) all_rows = {1, 8};
  for (const Shape& whole :
       {Shape{"qkv", 6144, 4096}, {"up", 28672, 4096}, {"down", 4096, 14336}}) {
    const Shape shape{whole.name, whole.n / cut, whole.k / cut};
    std::map<Format, std::vector<LinearCase>> cases;
    for (const FormatInfo& format : kFormats)
      if (auto wanted = cases_of(bench, format.format, shape, all_rows); !wanted.empty())
        cases[format.format] = std::move(wanted);
    if (cases.empty()) continue;
    const std::vector<float> values = bench_numbers(shape.n * shape.k);
    const std::vector<float> x = bench_numbers(all_rows.back() * shape.k, 5);
    LinearInputs inputs(bench, x);
    Buffer y = bench.device->allocate(all_rows.back() * shape.n * 4);
    for (const auto& [format, wanted] : cases) {
      const LinearData data = linear_data(bench, format, shape, values, x);
      for (const LinearCase& each : wanted)
        bench_linear(bench, {shape, data, inputs, y.as<float>()}, each);
    }
  }
  bench.device->choose_products({});
}

}  // namespace llmpq
