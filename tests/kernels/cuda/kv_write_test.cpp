// KV writes on a GPU: the cache's bytes are the CPU's, bit for bit.
#include "kernels/cuda/attention_setup.hpp"

namespace llmpq::test {
namespace {

class GpuKvWriteTest : public GpuTest, public testing::WithParamInterface<Layout> {
 protected:
  /// Writes a step into both caches. The GPU is told of more rows than there are.
  static void write(const Inputs& in, const std::vector<Cut>& cuts, HostCache& host,
                    GpuCache& cache) {
    const Step step(in, host, cuts);
    const int64_t k = in.s.heads * in.s.head_dim, v = k + in.s.kv_heads * in.s.head_dim;
    const float* rows = step.rows.data();
    RangeList ranges = step.list(step.ranges.data(), host.table.data(), in.stride);
    cpu().ops().kv_write(*cpu().context, {rows + k, rows + v, in.stride, ranges, &host.view});

    OnDevice<float> gpu_rows(gpu(), stream(), step.rows);
    OnDevice<RowRange> list(gpu(), stream(), step.ranges);
    ranges.list = list.data();
    ranges.block_table = cache.table.data();
    ranges.rows += 50;
    rows = gpu_rows.data();
    gpu().ops().kv_write(stream(), {rows + k, rows + v, in.stride, ranges, &cache.view});
    stream().synchronize();
  }
};

/// Heads of zeros, of ties, of nothing but odd values, and with one odd value.
void put_odd_values(Inputs& in, int64_t rows) {
  const std::vector<float> odd{NAN,          -INFINITY,   0.0f,  -0.0f,    1e-40f,
                               65519.9f,     65520.0f,    6e-8f, -2.9e-8f, 3.396e38f,
                               1.001953125f, 1.00390625f, -NAN};
  const int64_t dim = in.s.head_dim;
  for (int64_t p = 0; p < rows; ++p) {
    for (int64_t i = 0; i < 2 * in.s.kv_heads * dim; ++i) {
      float& x = in.row(0, p)[in.s.heads * dim + i];
      if (p % 4 == 0 && i % dim == p % dim) x = odd[p / 4 % odd.size()];
      if (p % 4 == 1) x = odd[2 + (i + p) % 7];
      if (p % 4 == 2) x = 0.0f;
      if (p % 4 == 3) x = static_cast<float>(i % 255 - 127) / 2;
    }
  }
}

std::vector<uint32_t> bits_of(const std::vector<float>& values) {
  std::vector<uint32_t> bits(values.size());
  if (!values.empty()) std::memcpy(bits.data(), values.data(), 4 * values.size());
  return bits;
}

TEST_P(GpuKvWriteTest, TheCacheHasTheBytesOfTheCpus) {
  Inputs in(GetParam());
  put_odd_values(in, 56);
  HostCache wanted(GetParam()), unwritten(GetParam());
  GpuCache cache(gpu(), stream(), unwritten);
  write(in, {{0, 0, 56}, {1, 0, 1}}, wanted, cache);
  write(in, {{1, 1, 1}, {0, 56, 1}}, wanted, cache);
  write(in, {{1, 2, 100}, {0, 57, 3}, {1, 300, 1}}, wanted, cache);
  EXPECT_NE(wanted.k, unwritten.k);
  EXPECT_TRUE(cache.k.values() == wanted.k) << label(in.s);
  EXPECT_TRUE(cache.v.values() == wanted.v) << label(in.s);
  EXPECT_EQ(bits_of(cache.k_scale.values()), bits_of(wanted.k_scale)) << label(in.s);
  EXPECT_EQ(bits_of(cache.v_scale.values()), bits_of(wanted.v_scale)) << label(in.s);
}

INSTANTIATE_TEST_SUITE_P(All, GpuKvWriteTest, testing::ValuesIn(layouts()),
                         [](const auto& info) { return label(info.param); });

}  // namespace
}  // namespace llmpq::test
