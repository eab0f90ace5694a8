// What all backends share, and what only depends on a backend's kind, so that a planner can count
// for devices that are not here.
#include "kernels/backend.hpp"
#include "kernels/check.hpp"
#include "kernels/convert.hpp"
#include "kernels/cpu/pack.hpp"
#include "kernels/cuda/layout.hpp"
#include "kernels/cuda/scratch.hpp"
#include "kernels/strips.hpp"

namespace llmpq {

int64_t packed_bytes(BackendKind kind, Format format, int64_t n, int64_t k) {
  const int64_t on_cpu = packed_bytes(format, n, k);  // checks the sizes, too
  return kind == BackendKind::kCpu ? on_cpu : cuda::matrix_bytes(format, n, k);
}

int64_t context_bytes(BackendKind kind) {
  if (kind == BackendKind::kCpu) return 0;
  return cuda::kCublasWorkspaceBytes + cuda::kCounters * int64_t{sizeof(uint32_t)};
}

int64_t scratch_bytes(BackendKind kind, const ScratchNeeds& needs) {
  if (kind == BackendKind::kCpu) return 0;
  int64_t bytes = std::max(cuda::attention_scratch_bytes(needs.sequences, needs.heads,
                                                         needs.head_dim, needs.max_model_len),
                           cuda::sample_scratch_bytes(needs.samples, needs.vocab));
  for (const auto& [tokens, n, k] : needs.products)
    bytes = std::max(bytes, cuda::linear_scratch_bytes(tokens, k, n * k, true));
  return bytes;
}

std::string Backend::new_link_id() { fail(Exit::kInternal, "no link: {}", why_no_links()); }
std::unique_ptr<DeviceLink> Backend::make_link(const DeviceLinkSetup&) {
  fail(Exit::kInternal, "no link: {}", why_no_links());
}

void Backend::pack_from(Context& context, Matrix& w, int64_t row_begin, int64_t rows,
                        int64_t strip_bytes, const RowSource& source) {
  for_each_strip<float>(
      rows, strip_rows(strip_bytes, 4 * w.k),
      [&](int64_t begin, int64_t count, std::vector<float>& strip) {
        strip.resize(static_cast<size_t>(count * w.k));
        source.read(begin, count, strip);
      },
      [&](int64_t begin, int64_t count, const std::vector<float>& strip) {
        pack_rows(context, w, row_begin + begin, count, strip.data());
      });
}

void Backend::fill_table(Context& context, const HalvesTable& table, int64_t strip_bytes,
                         const RowSource& source) {
  const int64_t row_bytes = table.columns * size_of(table.type);
  for_each_strip<uint16_t>(
      table.rows, strip_rows(strip_bytes, 4 * table.columns),
      [&](int64_t begin, int64_t rows, std::vector<uint16_t>& halves) {
        std::vector<float> values(static_cast<size_t>(rows * table.columns));
        halves.resize(values.size());
        source.read(begin, rows, values);
        f32_to_halves(table.type, values.data(), halves.data(), std::ssize(values));
      },
      [&](int64_t begin, int64_t rows, const std::vector<uint16_t>& halves) {
        copy_to_device(context, table.numbers + begin * row_bytes, halves.data(), rows * row_bytes);
        context.synchronize();  // before `halves` is written again
      });
}

void check_pack(const Matrix& w, int64_t want_bytes, int64_t row_begin, int64_t rows) {
  CHECK(row_begin >= 0 && rows >= 0 && row_begin <= w.n - rows, Exit::kInternal,
        "pack_rows: rows {} to {} of a matrix of {} rows", row_begin, row_begin + rows, w.n);
  CHECK(w.packed.bytes() == want_bytes, Exit::kInternal,
        "pack_rows: a {} matrix [{}, {}] needs {} bytes, its buffer has {}", name(w.format), w.n,
        w.k, want_bytes, w.packed.bytes());
}

}  // namespace llmpq
