#include "input/tensor_places.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "kernels/check.hpp"

namespace llmpq {
namespace {

/// Which of q, k and v a role belongs to; -1 for other roles.
int qkv_part(TensorRole role) {
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

/// The first of the names that a family has for a role; "" if none.
std::string_view first_name(const Family& family, TensorRole role) {
  const auto row = std::ranges::find(family.tensors, role, &TensorName::role);
  return row == family.tensors.end() ? std::string_view() : row->name;
}

/// Whether gate and up (or their biases) stand in one tensor, and the role is one of them.
bool is_gate_and_up(const Family& family, TensorRole role) {
  using enum TensorRole;
  if (role == kGate || role == kUp) return first_name(family, kGate) == first_name(family, kUp);
  if (role == kGateBias || role == kUpBias)
    return first_name(family, kGateBias) == first_name(family, kUpBias);
  return false;
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

/// A role's tensor as it stands in the files.
std::vector<int64_t> stored_shape(const ModelConfig& config, const Family& family, TensorRole role,
                                  const RoleShape& shape) {
  const int64_t rows = rows_of_tensor(config, family, role);
  if (shape.is_vector) return {rows};
  if (is_transposed(family, role)) return {shape.columns, rows};
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

/// Whether two tensors have the same shape and, in 64 places, the same values: a head that was
/// trained by itself differs from the embedding nearly everywhere.
bool look_alike(const TensorPlace& one, const TensorPlace& other) {
  constexpr int64_t kPlaces = 64;
  if (one.tensor->shape != other.tensor->shape || !one.tensor->type || !other.tensor->type)
    return false;
  const int64_t size = (one.tensor->end - one.tensor->begin) / size_of(*one.tensor->type);
  std::array<float, 64> here, there;
  const auto count = static_cast<size_t>(std::min<int64_t>(std::ssize(here), size));
  const auto beyond = size - static_cast<int64_t>(count);
  for (int64_t place = 0; place < kPlaces; ++place) {
    const int64_t begin = beyond / kPlaces * place;
    read_elements(one, begin, std::span(here).first(count));
    read_elements(other, begin, std::span(there).first(count));
    if (!std::equal(here.begin(), here.begin() + count, there.begin())) return false;
  }
  return true;
}

/// Matches roles with names and notes which tensors are in use.
class Finder {
 public:
  Finder(const ModelConfig& config, const Family& family, const SafetensorsFolder& files)
      : config_(config), family_(family), by_name_(tensors_by_name(family, files)) {}

  TensorPlaces find_all(StoredPlaces* stored) {
    TensorPlaces places;
    for (const TensorRole role : all_tensor_roles()) {
      const auto shape = shape_of(config_, role);
      if (!shape) continue;
      auto& found = places[static_cast<size_t>(role)];
      if (role == TensorRole::kHead && config_.tied_head) {
        found = places[static_cast<size_t>(TensorRole::kEmbedding)];
        check_tied_head(found.front());
        continue;
      }
      for (int64_t layer = 0; layer < (shape->per_layer ? config_.layers : 1); ++layer)
        for (int64_t expert = 0; expert < shape->experts; ++expert)
          find_one(role, *shape, tensor_names(family_, role, layer, expert), found,
                   stored ? &(*stored)[static_cast<size_t>(role)] : nullptr);
    }
    return places;
  }

  void check_nothing_is_left() const {
    for (const auto& [name, place] : by_name_)
      CHECK(used_.contains(name) || is_filler(name, place), Exit::kModel,
            "{}: {}: a {} model of {} layers has no such tensor; config.json and weights do not "
            "belong together",
            place.file->path().string(), place.tensor->name, family_.name, config_.layers);
  }

 private:
  /// Some files have a tied head a second time. If it is another matrix, it depends on who reads
  /// them which one counts.
  void check_tied_head(const TensorPlace& embedding) {
    for (auto& name : tensor_names(family_, TensorRole::kHead, 0)) {
      const auto head = by_name_.find(name);
      CHECK(head == by_name_.end() || look_alike(head->second, embedding), Exit::kModel,
            "{}: {}: is not the embedding, though config.json makes one of both; say "
            "\"tie_word_embeddings\": false there if the head is its own",
            head->second.file->path().string(), name);
      used_.insert(std::move(name));
    }
  }

  /// GPTQ's exporters write a bias of zeros beside each matrix of integers, whether the model has
  /// one or not.
  bool is_filler(std::string_view name, const TensorPlace& place) const {
    constexpr std::string_view kEnding = "bias";
    if (!name.ends_with(kEnding)) return false;
    const std::string stem(name.substr(0, name.size() - kEnding.size()));
    return by_name_.contains(stem + "qweight") &&
           std::ranges::all_of(place.file->bytes(*place.tensor),
                               [](std::byte byte) { return byte == std::byte{0}; });
  }

  /// A matrix of integers, if it stands there as such; else the tensor itself.
  void find_one(TensorRole role, const RoleShape& shape, const std::vector<std::string>& names,
                std::vector<TensorPlace>& places, std::vector<StoredMatrix>* stored) {
    StoredMatrix matrix;
    if (stored && config_.stored && is_layer_matrix(role)) matrix = find_stored(role, shape, names);
    places.push_back(matrix.qweight.tensor ? TensorPlace{} : find(role, shape, names));
    if (stored) stored->push_back(matrix);
  }

  StoredMatrix find_stored(TensorRole role, const RoleShape& shape,
                           const std::vector<std::string>& names) {
    StoredMatrix matrix;
    for (const std::string& name : names) {
      constexpr std::string_view kEnding = "weight";
      if (!name.ends_with(kEnding)) continue;
      const std::string stem = name.substr(0, name.size() - kEnding.size());
      matrix.qweight = find_if_there(stem + "qweight");
      if (!matrix.qweight.tensor) continue;
      matrix.inputs = shape.columns;
      matrix.outputs = rows_of_tensor(config_, family_, role);
      matrix.qzeros = find_beside(matrix.qweight, stem + "qzeros");
      matrix.scales = find_beside(matrix.qweight, stem + "scales");
      matrix.g_idx = find_if_there(stem + "g_idx");
      check_stored_matrix(matrix, *config_.stored);
      break;
    }
    return matrix;
  }

  TensorPlace find_if_there(const std::string& name) {
    const auto found = by_name_.find(name);
    if (found == by_name_.end()) return {};
    used_.insert(name);
    return found->second;
  }

  TensorPlace find_beside(const TensorPlace& qweight, const std::string& name) {
    const TensorPlace place = find_if_there(name);
    CHECK(place.tensor, Exit::kModel, "{}: {} stands there without {}; a file is missing",
          qweight.file->path().string(), qweight.tensor->name, name);
    return place;
  }

  TensorPlace find(TensorRole role, const RoleShape& shape, const std::vector<std::string>& names) {
    const auto wanted = stored_shape(config_, family_, role, shape);
    const auto stands = [&](const std::string& name) { return by_name_.contains(name); };
    const auto name = std::ranges::find_if(names, stands);
    CHECK(name != names.end(), Exit::kModel,
          "{}{}: in none of the model's files, want {}; config.json and weights do not belong "
          "together, or a file is missing",
          role == TensorRole::kHead ? "" : family_.prefixes.front(), names.front(),
          shape_text(wanted));
    const TensorPlace& place = by_name_.find(*name)->second;
    check_tensor(place, wanted);
    used_.insert(*name);
    return place;
  }

  const ModelConfig& config_;
  const Family& family_;
  std::map<std::string_view, TensorPlace> by_name_;
  std::set<std::string, std::less<>> used_;
};

}  // namespace

TensorPlaces find_tensors(const ModelConfig& config, const Family& family,
                          const SafetensorsFolder& files, StoredPlaces* stored) {
  Finder finder(config, family, files);
  TensorPlaces places = finder.find_all(stored);
  finder.check_nothing_is_left();
  return places;
}

StoredRows stored_rows(const ModelConfig& c, const Family& family, TensorRole role, int64_t row) {
  const RoleShape shape = *shape_of(c, role);
  if (shape.experts > 1) {
    const int64_t each = shape.rows / shape.experts;
    return {row / each, row % each, each - row % each};
  }
  if (is_gate_and_up(family, role)) {
    const bool up = role == TensorRole::kUp || role == TensorRole::kUpBias;
    return {0, row + (up ? c.ffn : 0), c.ffn - row};
  }
  const int part = qkv_part(role);
  if (part < 0 || family.qkv == QkvLayout::kSeparate) return {0, row, shape.rows - row};
  const int64_t q_rows = c.heads * c.head_dim, kv_rows = c.kv_heads * c.head_dim;
  if (family.qkv == QkvLayout::kOneAfterTheOther) {
    const int64_t before = part == 0 ? 0 : q_rows + (part - 1) * kv_rows;
    return {0, before + row, shape.rows - row};
  }
  const int64_t group = c.heads / c.kv_heads, head = row / c.head_dim, in_head = row % c.head_dim;
  const int64_t kv_head = part == 0 ? head / group : head;
  const int64_t in_group = part == 0 ? head % group : group + part - 1;
  return {0, (kv_head * (group + 2) + in_group) * c.head_dim + in_head, c.head_dim - in_head};
}

int64_t rows_of_tensor(const ModelConfig& config, const Family& family, TensorRole role) {
  if (is_gate_and_up(family, role)) return 2 * config.ffn;
  if (qkv_part(role) >= 0 && family.qkv != QkvLayout::kSeparate) return config.qkv_rows();
  const RoleShape shape = *shape_of(config, role);
  return shape.rows / shape.experts;
}

bool is_transposed(const Family& family, TensorRole role) {
  return family.transposed && is_layer_matrix(role);
}

}  // namespace llmpq
