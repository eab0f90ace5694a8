#include "kernels/backend.hpp"

#include <algorithm>
#include <cstring>
#include <fstream>

#include "kernels/check.hpp"
#include "kernels/convert.hpp"
#include "kernels/cpu/context.hpp"
#include "kernels/cpu/isa.hpp"
#include "kernels/cpu/pack.hpp"
#include "kernels/strips.hpp"

namespace llmpq {
namespace {

/// The value after "key:" in a /proc file, or nothing.
std::string proc_value(const std::string& file, const std::string& key) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    if (!line.starts_with(key)) continue;
    const size_t colon = line.find(':');
    if (colon == std::string::npos) continue;
    const size_t first = line.find_first_not_of(" \t", colon + 1);
    return first == std::string::npos ? "" : line.substr(first);
  }
  return {};
}

int64_t proc_kib(const std::string& key) {
  const std::string text = proc_value("/proc/meminfo", key);
  return text.empty() ? 0 : std::strtoll(text.c_str(), nullptr, 10) * 1024;
}

/// A line of /proc/cpuinfo; ARM's kernels tell numbers instead.
std::string cpu_name() {
  constexpr const char* kFile = "/proc/cpuinfo";
  const std::string model = proc_value(kFile, "model name");
  if (!model.empty()) return model;
  const std::string maker = proc_value(kFile, "CPU implementer");
  if (maker.empty()) return "CPU";
  return fmt::format("CPU, implementer {}, part {}", maker, proc_value(kFile, "CPU part"));
}

constexpr int64_t kCachedStripBytes = 256 << 10;  ///< fits into a core's second cache
constexpr int64_t kPagesAtOnce = 64 << 10;  ///< Linux maps so much of a file when a page is missing

class CpuBackend final : public Backend {
 public:
  CpuBackend(int threads, const std::string& isa)
      : isa_(choose_isa(isa)), kernels_(kernels(isa_)), pool_(threads) {}

  BackendKind kind() const override { return BackendKind::kCpu; }
  const Ops& ops() const override { return cpu_ops(); }

  DeviceInfo device() const override {
    DeviceInfo device;
    device.name = cpu_name();
    device.isa = llmpq::name(isa_);
    device.left_out = left_out(isa_);
    device.memory_bytes = proc_kib("MemTotal");
    device.free_bytes = proc_kib("MemAvailable");
    device.compute_units = pool_.threads();
    return device;
  }

  std::unique_ptr<Context> make_context() override {
    return std::make_unique<CpuContext>(kernels_, pool_);
  }

  ActivationType default_activation(Format format) const override {
    return is_16bit(format) ? ActivationType::kF32 : ActivationType::kInt8;
  }

  void count_cpu_seconds() override { pool_.count_cpu_seconds(); }
  double cpu_seconds() const override { return thread_cpu_seconds() + pool_.cpu_seconds(); }

  Buffer allocate(int64_t bytes) override { return allocate_host(bytes); }
  Buffer allocate_staging(int64_t bytes) override { return allocate_host(bytes); }

  void copy_to_device(Context&, void* device, const void* host, int64_t bytes) override {
    if (bytes > 0) std::memcpy(device, host, static_cast<size_t>(bytes));
  }
  void copy_to_host(Context&, void* host, const void* device, int64_t bytes) override {
    if (bytes > 0) std::memcpy(host, device, static_cast<size_t>(bytes));
  }

  void pack_rows(Context&, Matrix& w, int64_t row_begin, int64_t rows,
                 const float* values) override {
    check_pack(w, packed_bytes(w.format, w.n, w.k), row_begin, rows);
    for_each_tile(row_begin, rows, [&](int64_t row, int64_t count) {
      pack_part(w, row, count, values + (row - row_begin) * w.k);
    });
  }

  void pack_scaled_rows(Context&, Matrix& w, int64_t row_begin, int64_t rows, const float* values,
                        const float* scales) override {
    check_pack(w, packed_bytes(w.format, w.n, w.k), row_begin, rows);
    for_each_tile(row_begin, rows, [&](int64_t row, int64_t count) {
      const float* const from = values + (row - row_begin) * w.k;
      const float* const by = scales + (row - row_begin) * groups_of(w.k);
      if (count == kTile)
        return kernels_.pack_scaled_tile(w.format, w.k, from, by, tile_of(w, row));
      for (int64_t i = 0; i < count; ++i)
        pack_scaled_row(w.format, w.n, w.k, row + i, from + i * w.k, by + i * groups_of(w.k),
                        w.packed.data());
    });
  }

  /// Each thread packs whole tiles where they lie, or reads a strip into its caches and packs it.
  void pack_from(Context&, Matrix& w, int64_t row_begin, int64_t rows, int64_t strip_bytes,
                 const RowSource& source) override {
    check_pack(w, packed_bytes(w.format, w.n, w.k), row_begin, rows);
    // Whole tiles, also where these are larger than a cache: single rows are packed far slower.
    const int64_t most = strip_bytes < kCachedStripBytes
                             ? strip_rows(strip_bytes, 4 * w.k)
                             : std::max(strip_rows(kCachedStripBytes, 4 * w.k), kTile);
    std::vector<std::vector<float>> strips(static_cast<size_t>(pool_.threads()));
    pool_.parallel_for((rows + most - 1) / most, 1, [&](int64_t i, int64_t end, int thread) {
      for (; i < end; ++i) {
        const int64_t from = i * most, count = std::min(most, rows - from);
        const auto lying = [&](int64_t begin, int64_t some) {
          return source.in_memory && some > 0 ? source.in_memory(begin, some) : std::nullopt;
        };
        const int64_t next = from + count, more = std::min(most, rows - next);
        if (const auto ahead = lying(next, more)) touch(*ahead, more * w.k);
        const auto there = lying(from, count);
        if (there && pack_tiles(w, row_begin + from, count, *there)) continue;
        std::vector<float>& strip = strips[static_cast<size_t>(thread)];
        strip.resize(static_cast<size_t>(count * w.k));
        source.read(from, count, strip);
        pack_part(w, row_begin + from, count, strip.data());
      }
    });
  }

  void fill_table(Context&, const HalvesTable& table, int64_t strip_bytes,
                  const RowSource& source) override {
    const int64_t most = strip_rows(std::min(strip_bytes, kCachedStripBytes), 4 * table.columns);
    std::vector<std::vector<float>> strips(static_cast<size_t>(pool_.threads()));
    pool_.parallel_for(table.rows, most, [&](int64_t begin, int64_t end, int thread) {
      std::vector<float>& strip = strips[static_cast<size_t>(thread)];
      for (int64_t rows; begin < end; begin += rows) {
        rows = std::min(most, end - begin);
        strip.resize(static_cast<size_t>(rows * table.columns));
        source.read(begin, rows, strip);
        auto* const numbers = reinterpret_cast<uint16_t*>(table.numbers) + begin * table.columns;
        f32_to_halves(table.type, strip.data(), numbers, std::ssize(strip));
      }
    });
  }

 private:
  /// work(row, count) for the rows of each tile, by all threads: two on one tile would write to the
  /// same lines of the caches.
  template <typename Work>
  void for_each_tile(int64_t row_begin, int64_t rows, Work work) {
    const int64_t first = row_begin / kTile, end_row = row_begin + rows;
    pool_.parallel_for((end_row + kTile - 1) / kTile - first, 1, [&](int64_t i, int64_t end, int) {
      for (; i < end; ++i) {
        const int64_t from = std::max(row_begin, (first + i) * kTile);
        work(from, std::min(end_row, (first + i + 1) * kTile) - from);
      }
    });
  }

  /// Brings pages of a file into this process: a CPU that is asked for lines ahead leaves out those
  /// of other pages.
  static void touch(const RowsInMemory& rows, int64_t count) {
    for (int64_t at = 0; at < count * size_of(rows.type); at += kPagesAtOnce)
      static_cast<void>(*reinterpret_cast<const volatile char*>(rows.numbers + at));
  }

  uint8_t* tile_of(Matrix& w, int64_t row) const {
    return w.packed.as<uint8_t>() + row / kTile * tile_bytes(w.format, w.k);
  }

  /// By one thread. False if the rows are no whole tiles, or one is not complete since a value
  /// cannot be rounded.
  bool pack_tiles(Matrix& w, int64_t row_begin, int64_t count, RowsInMemory rows) const {
    if (row_begin % kTile != 0 || count % kTile != 0) return false;
    for (int64_t i = 0; i < count; i += kTile) {
      if (!kernels_.pack_tile(w.format, w.k, rows, tile_of(w, row_begin + i))) return false;
      rows.numbers += kTile * w.k * size_of(rows.type);
    }
    return true;
  }

  /// By one thread.
  void pack_part(Matrix& w, int64_t row_begin, int64_t rows, const float* values) const {
    for (int64_t i = 0; i < rows;) {
      const int64_t row = row_begin + i;
      const float* const from = values + i * w.k;
      if (row % kTile == 0 && i + kTile <= rows &&
          pack_tiles(w, row, kTile, {DType::kF32, reinterpret_cast<const std::byte*>(from)})) {
        i += kTile;
        continue;
      }
      pack_row(w.format, w.n, w.k, row, from, w.packed.data());  // or tells what is wrong
      ++i;
    }
  }

  const Isa isa_;
  const KernelTable& kernels_;
  ThreadPool pool_;
};

}  // namespace

std::unique_ptr<Backend> make_cpu_backend(int threads, const std::string& isa) {
  return std::make_unique<CpuBackend>(threads, isa);
}

}  // namespace llmpq
