#include "input/checkpoint.hpp"

#include <algorithm>
#include <set>

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
        places_(find_tensors(config_, family_, files_, &stored_)) {}

  const ModelConfig& config() const override { return config_; }

  void read_rows(TensorRole role, int64_t layer, int64_t begin, int64_t rows,
                 std::span<float> values) const override {
    const RoleShape shape = check_rows(config_, role, layer, begin, rows, std::ssize(values));
    for_each_run({role, layer, begin, rows}, shape.columns, values, [&](const Run& run) {
      const StoredMatrix& integers = integers_at(role, run.index);
      const TensorPlace& place = places_[static_cast<size_t>(role)][run.index];
      if (integers.qweight.tensor)
        read_stored_rows(integers, *config_.stored, run.begin, run.rows, run.values);
      else if (is_transposed(family_, role))
        read_columns(place, run.begin, rows_of_tensor(config_, family_, role), run.values);
      else
        read_elements(place, run.begin * shape.columns, run.values);
    });
  }

  std::optional<RowsInMemory> rows_in_memory(TensorRole role, int64_t layer, int64_t begin,
                                             int64_t rows) const override {
    const RoleShape shape = *shape_of(config_, role);
    check_rows(config_, role, layer, begin, rows, rows * shape.columns);
    const StoredRows at = stored_rows(config_, family_, role, begin);
    const auto index = static_cast<size_t>(layer * shape.experts + at.expert);
    if (at.count < rows || is_transposed(family_, role) || integers_at(role, index).qweight.tensor)
      return std::nullopt;
    const auto& [file, tensor] = places_[static_cast<size_t>(role)][index];
    return RowsInMemory{*tensor->type, file->bytes(*tensor).data() +
                                           at.begin * shape.columns * size_of(*tensor->type)};
  }

  void check_read() const override {
    for (const SafetensorsFile& file : files_.files()) file.check_read();
  }

  std::unique_ptr<ReadAhead> read_ahead(int64_t layer_begin, int64_t layer_end) const override {
    using enum TensorRole;
    std::vector<std::vector<FilePart>> steps;
    if (layer_begin == 0) steps.push_back(parts_of({kEmbedding, kPositionEmbedding}, 0));
    std::vector<TensorRole> of_layers;
    for (const TensorRole role : all_tensor_roles())
      if (const auto shape = shape_of(config_, role); shape && shape->per_layer)
        of_layers.push_back(role);
    for (int64_t layer = layer_begin; layer < layer_end; ++layer)
      steps.push_back(parts_of(of_layers, layer));
    if (layer_end == config_.layers) steps.push_back(parts_of({kHead}, 0));
    return std::make_unique<ReadAhead>(std::move(steps));
  }

  const StoredWeights* stored() const override {
    return config_.stored ? &*config_.stored : nullptr;
  }

  void read_scales(TensorRole role, int64_t layer, int64_t begin, int64_t rows,
                   std::span<float> scales) const override {
    const RoleShape shape = *shape_of(config_, role);
    const int64_t groups = groups_of(shape.columns);
    CHECK(std::ssize(scales) == rows * groups, Exit::kInternal, "{}: room for {} scales of {} rows",
          name(role), scales.size(), rows);
    for_each_run({role, layer, begin, rows}, groups, scales, [&](const Run& run) {
      const StoredMatrix& integers = integers_at(role, run.index);
      CHECK(integers.qweight.tensor, Exit::kModel,
            "layer {}, {}: not quantized, unlike what quantization_config says of the model, so no "
            "format holds the layer as it is; give --format to round it anew",
            layer, name(role));
      read_stored_scales(integers, *config_.stored, run.begin, run.rows, run.values);
    });
  }

  uint64_t content_hash() const override {
    Hasher hasher;
    for (const char* name :
         {"config.json", "generation_config.json", "model.safetensors.index.json"})
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
  /// Rows of a role's matrix in a layer.
  struct WantedRows {
    TensorRole role;
    int64_t layer, begin, rows;
  };
  /// Wanted rows that follow each other in one tensor.
  struct Run {
    size_t index;             ///< of the tensor among the role's
    int64_t begin, rows;      ///< in the tensor
    std::span<float> values;  ///< [rows, width]: where they go
  };

  /// `values`: [wanted.rows, width].
  template <typename Use>
  void for_each_run(const WantedRows& wanted, int64_t width, std::span<float> values,
                    Use use) const {
    const int64_t experts = shape_of(config_, wanted.role)->experts;
    for (int64_t done = 0; done < wanted.rows;) {
      const StoredRows at = stored_rows(config_, family_, wanted.role, wanted.begin + done);
      const int64_t rows = std::min(at.count, wanted.rows - done);
      use(Run{
          static_cast<size_t>(wanted.layer * experts + at.expert), at.begin, rows,
          values.subspan(static_cast<size_t>(done * width), static_cast<size_t>(rows * width))});
      done += rows;
    }
  }

  /// The bytes of all tensors of some roles in a layer, each tensor once.
  std::vector<FilePart> parts_of(const std::vector<TensorRole>& roles, int64_t layer) const {
    std::vector<FilePart> parts;
    std::set<const TensorEntry*> known;
    const auto add = [&](const TensorPlace& place) {
      if (place.tensor != nullptr && known.insert(place.tensor).second)
        parts.push_back({place.file->path(), place.tensor->begin, place.tensor->end});
    };
    for (const TensorRole role : roles) {
      const auto shape = shape_of(config_, role);
      if (!shape) continue;
      for (int64_t expert = 0; expert < shape->experts; ++expert) {
        const auto index = static_cast<size_t>(layer * shape->experts + expert);
        const StoredMatrix& integers = integers_at(role, index);
        add(places_[static_cast<size_t>(role)][index]);
        for (const TensorPlace& place : {integers.qweight, integers.qzeros, integers.scales})
          add(place);
      }
    }
    return parts;
  }

  /// Empty for a role whose matrices are numbers as they are.
  const StoredMatrix& integers_at(TensorRole role, size_t index) const {
    static const StoredMatrix kNone;
    const auto& matrices = stored_[static_cast<size_t>(role)];
    return index < matrices.size() ? matrices[index] : kNone;
  }

  /// Columns of a stored [inputs, outputs] tensor as rows: values [count, inputs]. Some inputs at a
  /// time, so that whole lines of the caches are written.
  static void read_columns(const TensorPlace& place, int64_t begin, int64_t outputs,
                           std::span<float> values) {
    constexpr int64_t kInputs = 16;
    const int64_t inputs = place.tensor->shape[0], count = std::ssize(values) / inputs;
    std::vector<float> across(static_cast<size_t>(kInputs * count));
    for (int64_t first = 0; first < inputs; first += kInputs) {
      const int64_t some = std::min(kInputs, inputs - first);
      for (int64_t i = 0; i < some; ++i)
        read_elements(
            place, (first + i) * outputs + begin,
            std::span(across).subspan(static_cast<size_t>(i * count), static_cast<size_t>(count)));
      for (int64_t row = 0; row < count; ++row)
        for (int64_t i = 0; i < some; ++i)
          values[static_cast<size_t>(row * inputs + first + i)] =
              across[static_cast<size_t>(i * count + row)];
    }
  }

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
  StoredPlaces stored_;
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

void Checkpoint::read_scales(TensorRole role, int64_t, int64_t, int64_t, std::span<float>) const {
  fail(Exit::kInternal, "{}: scales are asked for of a checkpoint without integers", name(role));
}

std::unique_ptr<Checkpoint> open_checkpoint(const fs::path& folder) {
  return std::make_unique<FileCheckpoint>(folder);
}

}  // namespace llmpq
