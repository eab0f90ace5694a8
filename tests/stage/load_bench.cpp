// load_bench MODEL [threads [repetitions]]: how fast a checkpoint (Llama's matrices) becomes a
// stage's weights, and the limits of that on this machine, measured in turns in the same run:
//
//   read      its files alone: from the system's memory, and from the disk
//   pack      its layers' matrices alone, files and packed weights in memory that is in use
//   memory    nothing but the first touch of as much new memory as the weights fill
//   load      everything, from opened files to the last matrix: files in the system's memory, or on
//             the disk only
//
// The best of the repetitions; GB are those of the files (of memory: of the weights). A system that
// gives free memory back to a host gets it again very slowly, so memory is touched before each
// load, and free again for it.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/file_reader.hpp"
#include "base/timer.hpp"
#include "input/checkpoint.hpp"
#include "kernels/cpu/thread_pool.hpp"
#include "layer/weights.hpp"

namespace llmpq {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kPiece = 1 << 20, kHugePage = 2 << 20;
constexpr int kThreadsOfDisk = 4;  ///< as many as read ahead of a load

struct Setup {
  fs::path model;
  int threads;
  int repetitions;
  std::vector<fs::path> files = {};
  int64_t file_bytes = 0;
};

/// What a stage of the whole model holds.
struct Weights {
  EmbeddingWeights embedding;
  std::vector<LayerWeights> layers;
  HeadWeights head;
};

int64_t bytes_of(const Weights& w) {
  int64_t bytes = weight_bytes(w.embedding) + weight_bytes(w.head);
  for (const LayerWeights& layer : w.layers) bytes += weight_bytes(layer);
  return bytes;
}

/// As a stage does it.
Weights load(const Checkpoint& checkpoint, Format format, Backend& backend, Context& context) {
  const int64_t layers = checkpoint.config().layers;
  const auto ahead = checkpoint.read_ahead(0, layers);
  Weights w;
  ahead->begin_step();
  w.embedding = load_embedding(checkpoint, backend, context);
  for (int64_t layer = 0; layer < layers; ++layer) {
    ahead->begin_step();
    w.layers.push_back(load_layer(checkpoint, layer, format, backend, context));
  }
  ahead->begin_step();
  const Format head = is_16bit(format) ? format : Format::kW8;
  w.head = load_head(checkpoint, head, backend, context);
  return w;
}

/// Packs rows of a matrix once more, over what they became before. Returns the file's bytes.
int64_t pack_again(const Checkpoint& from, TensorRole role, int64_t layer, Matrix& to,
                   std::pair<int64_t, int64_t> rows, Backend& backend, Context& context) {
  const auto there = [&](int64_t begin, int64_t count) {
    const auto found = from.rows_in_memory(role, layer, begin, count);
    CHECK(found, Exit::kModel, "this checkpoint's matrices do not lie there as they are packed");
    return found;
  };
  backend.pack_from(context, to, rows.first, rows.second, kStripBytes, {{}, there});
  return rows.second * to.k * size_of(there(0, 1)->type);
}

int64_t pack_again(const Checkpoint& from, int64_t layer, LayerWeights& w, Backend& backend,
                   Context& context) {
  using enum TensorRole;
  const ModelConfig& c = from.config();
  CHECK(c.gated && c.experts == 0, Exit::kModel, "want a model with Llama's matrices");
  const int64_t q = c.heads * c.head_dim, kv = c.kv_heads * c.head_dim;
  int64_t bytes = 0;
  const auto pack = [&](TensorRole role, Matrix& to, int64_t first, int64_t rows) {
    bytes += pack_again(from, role, layer, to, {first, rows}, backend, context);
  };
  pack(kQ, w.qkv.matrix, 0, q);
  pack(kK, w.qkv.matrix, q, kv);
  pack(kV, w.qkv.matrix, q + kv, kv);
  pack(kOut, w.out.matrix, 0, c.hidden);
  pack(kGate, w.up.matrix, 0, c.ffn);
  pack(kUp, w.up.matrix, c.ffn, c.ffn);
  pack(kDown, w.down.matrix, 0, c.hidden);
  return bytes;
}

/// Reads all files piece by piece. Returns bytes per second.
double read_files(const Setup& setup, int threads) {
  ThreadPool pool(threads);
  std::vector<std::vector<std::byte>> rooms(static_cast<size_t>(threads),
                                            std::vector<std::byte>(kPiece));
  const Timer timer;
  for (const fs::path& path : setup.files) {
    const FileReader file(path, Exit::kModel);
    const auto bytes = static_cast<int64_t>(fs::file_size(path));
    pool.parallel_for((bytes + kPiece - 1) / kPiece, 1, [&](int64_t i, int64_t end, int thread) {
      for (; i < end; ++i)
        file.read_at(i * kPiece,
                     std::span(rooms[static_cast<size_t>(thread)])
                         .first(static_cast<size_t>(std::min(kPiece, bytes - i * kPiece))));
    });
  }
  return static_cast<double>(setup.file_bytes) / timer.seconds();
}

/// Asks the system to keep nothing of the files in its memory.
void drop_files(const Setup& setup) {
  for (const fs::path& path : setup.files) {
    const int file = open(path.c_str(), O_RDONLY);
    fsync(file);
    posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
    close(file);
  }
}

/// Touches so much new memory in huge pages and frees it. Returns bytes per second.
double touch_memory(const Setup& setup, int64_t bytes) {
  ThreadPool pool(setup.threads);
  const int64_t pages = bytes / kHugePage + 1;
  const auto length = static_cast<size_t>((pages + 1) * kHugePage);
  auto* const memory = static_cast<char*>(
      mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  CHECK(memory != MAP_FAILED, Exit::kNoPlan, "no {} bytes of memory", length);
  madvise(memory, length, MADV_HUGEPAGE);
  const Timer timer;
  pool.parallel_for(pages, 1, [&](int64_t i, int64_t end, int) {
    for (; i < end; ++i) memory[i * kHugePage] = 1;
  });
  const double seconds = timer.seconds();
  munmap(memory, length);
  return static_cast<double>(pages * kHugePage) / seconds;
}

/// Bytes per second, the best so far.
struct Speeds {
  double pack = 0, memory = 0, load = 0, disk = 0, load_from_disk = 0;
  int64_t weight_bytes = 0;

  /// Packing and first touch, one after the other.
  double pack_new(int64_t file_bytes) const {
    const auto files = static_cast<double>(file_bytes);
    return files / (files / pack + static_cast<double>(weight_bytes) / memory);
  }
};

void raise(double& best, double speed) { best = std::max(best, speed); }

/// One load; then, if `then`, its matrices packed again. Returns the load's bytes per second.
double time_load(const Setup& setup, Format format, Speeds* then) {
  const auto backend = make_cpu_backend(setup.threads, "auto");
  const auto context = backend->make_context();
  const Timer timer;
  const auto checkpoint = open_checkpoint(setup.model);
  Weights w = load(*checkpoint, format, *backend, *context);
  const double speed = static_cast<double>(setup.file_bytes) / timer.seconds();
  if (then == nullptr) return speed;
  then->weight_bytes = bytes_of(w);
  const Timer packing;
  int64_t packed = 0;
  for (int64_t layer = 0; layer < std::ssize(w.layers); ++layer)
    packed +=
        pack_again(*checkpoint, layer, w.layers[static_cast<size_t>(layer)], *backend, *context);
  raise(then->pack, static_cast<double>(packed) / packing.seconds());
  return speed;
}

void measure(const Setup& setup, Format format, Speeds& best) {
  const int64_t bytes = best.weight_bytes > 0 ? best.weight_bytes : setup.file_bytes * 5 / 4;
  touch_memory(setup, bytes);
  raise(best.memory, touch_memory(setup, bytes));
  raise(best.load, time_load(setup, format, &best));
}

void measure_from_disk(const Setup& setup, Format format, Speeds& best) {
  drop_files(setup);
  raise(best.disk, read_files(setup, kThreadsOfDisk));
  touch_memory(setup, best.weight_bytes);
  drop_files(setup);
  raise(best.load_from_disk, time_load(setup, format, nullptr));
}

std::string share(double speed, double limit) {
  return fmt::format("{:.0f} %", 100 * speed / limit);
}

constexpr Format kMeasured[] = {Format::kBf16, Format::kW8, Format::kW4, Format::kW3};
using SpeedsOfFormats = std::array<Speeds, std::size(kMeasured)>;

void run_cached(const Setup& setup, SpeedsOfFormats& speeds) {
  double cached = 0;
  read_files(setup, setup.threads);
  for (int i = 0; i < setup.repetitions; ++i) {
    raise(cached, read_files(setup, setup.threads));
    for (size_t f = 0; f < speeds.size(); ++f) measure(setup, kMeasured[f], speeds[f]);
  }
  fmt::print("{:.2f} GB, {} threads; read from the system's memory: {:.1f} GB/s\n\n",
             1e-9 * static_cast<double>(setup.file_bytes), setup.threads, 1e-9 * cached);
  fmt::print("| format | pack | memory | pack, new memory | load | s | of pack | of both |\n");
  fmt::print("|---|---|---|---|---|---|---|---|\n");
  for (size_t f = 0; f < speeds.size(); ++f) {
    const Speeds& s = speeds[f];
    const double both = s.pack_new(setup.file_bytes);
    fmt::print("| {} | {:.1f} | {:.1f} | {:.1f} | {:.1f} | {:.3f} | {} | {} |\n",
               name(kMeasured[f]), 1e-9 * s.pack, 1e-9 * s.memory, 1e-9 * both, 1e-9 * s.load,
               static_cast<double>(setup.file_bytes) / s.load, share(s.load, s.pack),
               share(s.load, both));
  }
  std::fflush(stdout);
}

/// The disk's speed changes: each load has a reading beside it.
void run_from_disk(const Setup& setup, SpeedsOfFormats& speeds) {
  for (int i = 0; i < setup.repetitions; ++i)
    for (size_t f = 0; f < speeds.size(); ++f) measure_from_disk(setup, kMeasured[f], speeds[f]);
  fmt::print("\n| format | read from the disk | load | s | of read |\n|---|---|---|---|---|\n");
  for (size_t f = 0; f < speeds.size(); ++f) {
    const Speeds& s = speeds[f];
    fmt::print("| {} | {:.2f} | {:.2f} | {:.2f} | {} |\n", name(kMeasured[f]), 1e-9 * s.disk,
               1e-9 * s.load_from_disk, static_cast<double>(setup.file_bytes) / s.load_from_disk,
               share(s.load_from_disk, s.disk));
  }
}

void run(Setup setup) {
  open_checkpoint(setup.model);  // says what is wrong with a folder that is no model
  for (const auto& entry : fs::directory_iterator(setup.model))
    if (entry.path().extension() == ".safetensors") setup.files.push_back(entry.path());
  for (const fs::path& file : setup.files)
    setup.file_bytes += static_cast<int64_t>(fs::file_size(file));
  SpeedsOfFormats speeds;
  run_cached(setup, speeds);
  run_from_disk(setup, speeds);
}

}  // namespace
}  // namespace llmpq

int main(int argc, char** argv) {
  using namespace llmpq;
  if (argc < 2) {
    fmt::print(stderr, "usage: load_bench MODEL [threads [repetitions]]\n");
    return 2;
  }
  try {
    run({.model = argv[1],
         .threads = argc > 2 ? std::atoi(argv[2]) : usable_cpus(),
         .repetitions = argc > 3 ? std::atoi(argv[3]) : 5});
  } catch (const Error& error) {
    fmt::print(stderr, "{}\n", error.what());
    return static_cast<int>(error.code());
  }
}
