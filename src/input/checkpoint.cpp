#include "input/checkpoint.hpp"

#include <algorithm>

#include "base/file.hpp"
#include "base/hash.hpp"
#include "input/tensor_places.hpp"
#include "kernels/check.hpp"

namespace llmpq {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMaxHashedBytes = int64_t{1} << 30;

/// Weights that lie in the safetensors files of a folder.
class FileCheckpoint final : public Checkpoint {
 public:
  explicit FileCheckpoint(const fs::path& folder)
      : folder_(folder),
        config_(load_model_config(folder)),
        family_(family_named(config_.family)),
        files_(folder),
        places_(find_tensors(config_, family_, files_)) {}

  const ModelConfig& config() const override { return config_; }

  void read_rows(TensorRole role, int64_t layer, int64_t begin, int64_t rows,
                 std::span<float> values) const override {
    const RoleShape shape = check_rows(config_, role, layer, begin, rows, std::ssize(values));
    const TensorPlace& place = places_[static_cast<size_t>(role)][static_cast<size_t>(layer)];
    if (!is_fused(family_, role)) {
      read_elements(place, begin * shape.columns, values);
      return;
    }
    // Rows of one head stand together: as many of them at once as the range has.
    for (int64_t row = begin; row < begin + rows;) {
      const int64_t in_head = config_.head_dim - row % config_.head_dim;
      const int64_t count = std::min(in_head, begin + rows - row);
      const int64_t from = fused_row(role, row, config_.head_dim) * shape.columns;
      read_elements(place, from,
                    values.subspan(static_cast<size_t>((row - begin) * shape.columns),
                                   static_cast<size_t>(count * shape.columns)));
      row += count;
    }
  }

  uint64_t content_hash() const override {
    Hasher hasher;
    for (const char* name : {"config.json", "generation_config.json", "tokenizer.json",
                             "model.safetensors.index.json"})
      add_text(hasher, name);
    for (const auto& file : files_.files()) {
      const auto header = file.header_bytes();
      hasher.add(file.path().filename().string());
      hasher.add(file.size());
      hasher.add_bytes(header.data(), header.size());
    }
    return hasher.value();
  }

 private:
  /// A file's name, size and text; size -1 if it is not there.
  void add_text(Hasher& hasher, const char* name) const {
    std::error_code ignored;
    hasher.add(std::string_view(name));
    if (!fs::exists(folder_ / name, ignored)) {
      hasher.add(int64_t{-1});
      return;
    }
    const std::string text = read_file(folder_ / name, kMaxHashedBytes, Exit::kModel);
    hasher.add(static_cast<int64_t>(text.size()));
    hasher.add(text);
  }

  fs::path folder_;
  ModelConfig config_;
  const Family& family_;
  SafetensorsFolder files_;
  TensorPlaces places_;
};

}  // namespace

std::vector<float> Checkpoint::read_vector(TensorRole role, int64_t layer) const {
  const auto shape = shape_of(config(), role);
  CHECK(shape && shape->is_vector, Exit::kInternal, "{} is no vector of this model", name(role));
  std::vector<float> values(static_cast<size_t>(shape->rows));
  read_rows(role, layer, 0, shape->rows, values);
  return values;
}

std::unique_ptr<Checkpoint> open_checkpoint(const fs::path& folder) {
  return std::make_unique<FileCheckpoint>(folder);
}

}  // namespace llmpq
