#include "input/tensor_places.hpp"

#include <map>
#include <set>
#include <string>
#include <string_view>

#include "kernels/check.hpp"

namespace llmpq {
namespace {

/// Which third of a fused tensor a role is; -1 for roles that are never fused.
int third_of(TensorRole role) {
  switch (role) {
    case TensorRole::kQ:
    case TensorRole::kQBias:
      return 0;
    case TensorRole::kK:
    case TensorRole::kKBias:
      return 1;
    case TensorRole::kV:
    case TensorRole::kVBias:
      return 2;
    default:
      return -1;
  }
}

/// The tensors of the files by their names without prefix; buffers are left out.
std::map<std::string_view, TensorPlace> tensors_by_name(const Family& family,
                                                        const SafetensorsFolder& files) {
  std::map<std::string_view, TensorPlace> places;
  for (const auto& [full, place] : files.tensors()) {
    const std::string_view name = without_prefix(family, full);
    if (is_buffer(name)) continue;
    const auto [other, is_new] = places.try_emplace(name, place);
    CHECK(is_new, Exit::kModel, "{}: {} and {} are the same tensor with and without prefix",
          place.file->path().string(), other->second.tensor->name, full);
  }
  return places;
}

/// "[4096, 1024]" as a role's tensor stands in the files.
std::vector<int64_t> stored_shape(const Family& family, TensorRole role, const RoleShape& shape) {
  const int64_t rows = is_fused(family, role) ? 3 * shape.rows : shape.rows;
  if (shape.is_vector) return {rows};
  return {rows, shape.columns};
}

void check_tensor(const TensorPlace& place, std::span<const int64_t> wanted) {
  const TensorEntry& tensor = *place.tensor;
  const bool fits = std::ranges::equal(tensor.shape, wanted);
  CHECK(fits && tensor.type, Exit::kModel,
        "{}: {}: want {}{}, file has {}{}; config.json and weights do not belong together, or the "
        "type is none that can be read",
        place.file->path().string(), tensor.name, tensor.type ? "" : "bf16, f16 or f32 ",
        shape_text(wanted), tensor.type ? "" : tensor.type_name + " ", shape_text(tensor.shape));
}

/// Matches roles with names and notes which tensors are in use.
class Finder {
 public:
  Finder(const ModelConfig& config, const Family& family, const SafetensorsFolder& files)
      : config_(config), family_(family), by_name_(tensors_by_name(family, files)) {}

  TensorPlaces find_all() {
    TensorPlaces places;
    for (const TensorRole role : all_tensor_roles()) {
      const auto shape = shape_of(config_, role);
      if (!shape) continue;
      auto& found = places[static_cast<size_t>(role)];
      if (role == TensorRole::kHead && config_.tied_head) {
        found = places[static_cast<size_t>(TensorRole::kEmbedding)];
        used_.insert(tensor_name(family_, role, 0));  // some files have it a second time
        continue;
      }
      for (int64_t layer = 0; layer < (shape->per_layer ? config_.layers : 1); ++layer)
        found.push_back(find(role, layer, *shape));
    }
    return places;
  }

  void check_nothing_is_left() const {
    for (const auto& [name, place] : by_name_)
      CHECK(used_.contains(name), Exit::kModel,
            "{}: {}: a {} model of {} layers has no such tensor; config.json and weights do not "
            "belong together",
            place.file->path().string(), place.tensor->name, family_.name, config_.layers);
  }

 private:
  TensorPlace find(TensorRole role, int64_t layer, const RoleShape& shape) {
    const std::string name = tensor_name(family_, role, layer);
    const auto wanted = stored_shape(family_, role, shape);
    const auto place = by_name_.find(name);
    CHECK(place != by_name_.end(), Exit::kModel,
          "{}{}: in none of the model's files, want {}; config.json and weights do not belong "
          "together, or a file is missing",
          role == TensorRole::kHead ? "" : family_.prefixes.front(), name, shape_text(wanted));
    check_tensor(place->second, wanted);
    used_.insert(name);
    return place->second;
  }

  const ModelConfig& config_;
  const Family& family_;
  std::map<std::string_view, TensorPlace> by_name_;
  std::set<std::string, std::less<>> used_;
};

}  // namespace

TensorPlaces find_tensors(const ModelConfig& config, const Family& family,
                          const SafetensorsFolder& files) {
  Finder finder(config, family, files);
  TensorPlaces places = finder.find_all();
  finder.check_nothing_is_left();
  return places;
}

bool is_fused(const Family& family, TensorRole role) {
  return family.qkv == QkvLayout::kPerHead && third_of(role) >= 0;
}

int64_t fused_row(TensorRole role, int64_t row, int64_t head_dim) {
  const int64_t head = row / head_dim;
  return (3 * head + third_of(role)) * head_dim + row % head_dim;
}

}  // namespace llmpq
