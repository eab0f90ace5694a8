#include "input/safetensors.hpp"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>
#include <string_view>

#include "base/file.hpp"
#include "base/json.hpp"
#include "kernels/cpu/kernel_table.hpp"

namespace llmpq {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

static_assert(std::endian::native == std::endian::little, "safetensors files are little-endian");

constexpr int64_t kLengthBytes = 8;
constexpr uint64_t kMaxHeaderBytes = 100'000'000;  // the format's own limit
constexpr int64_t kMaxIndexBytes = 100'000'000;
constexpr size_t kMaxDimensions = 64;
constexpr std::string_view kSingle = "model.safetensors";
constexpr std::string_view kIndex = "model.safetensors.index.json";

struct StoredType {
  std::string_view name;
  int bits;
  std::optional<DType> type;
};
constexpr std::array<StoredType, 21> kStoredTypes{{
    {"F32", 32, DType::kF32},     {"BF16", 16, DType::kBf16},   {"F16", 16, DType::kF16},
    {"F64", 64, std::nullopt},    {"F8_E4M3", 8, std::nullopt}, {"F8_E5M2", 8, std::nullopt},
    {"F8_E8M0", 8, std::nullopt}, {"F6_E2M3", 6, std::nullopt}, {"F6_E3M2", 6, std::nullopt},
    {"F4", 4, std::nullopt},      {"C64", 64, std::nullopt},    {"I64", 64, std::nullopt},
    {"I32", 32, std::nullopt},    {"I16", 16, std::nullopt},    {"I8", 8, std::nullopt},
    {"U64", 64, std::nullopt},    {"U32", 32, std::nullopt},    {"U16", 16, std::nullopt},
    {"U8", 8, std::nullopt},      {"BOOL", 8, std::nullopt},    {"F4_E2M1", 4, std::nullopt},
}};

/// What the errors of one header have in common.
struct HeaderContext {
  const std::string& what;
  int64_t data_begin;
  int64_t file_bytes;
};

/// The JSON text, its length checked against the limit and the file.
std::string_view header_text(std::span<const std::byte> bytes, int64_t file_bytes,
                             const std::string& what) {
  CHECK(file_bytes >= kLengthBytes && std::ssize(bytes) >= kLengthBytes, Exit::kModel,
        "{}: {} bytes are too few for a safetensors file; download it again", what, file_bytes);
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  check_no_lfs_pointer(text, what, Exit::kModel);
  uint64_t length = 0;
  std::memcpy(&length, bytes.data(), sizeof(length));
  CHECK(length <= kMaxHeaderBytes, Exit::kModel,
        "{}: header of {} bytes, want at most {}; not a safetensors file, or damaged", what, length,
        kMaxHeaderBytes);
  const auto present = std::min(file_bytes, static_cast<int64_t>(std::ssize(bytes)));
  CHECK(static_cast<int64_t>(length) <= present - kLengthBytes, Exit::kModel,
        "{}: truncated: header of {} bytes in a file of {}; download it again", what, length,
        file_bytes);
  return text.substr(kLengthBytes, length);
}

/// A whole number from 0 on that fits an int64_t.
int64_t whole_number(const json& value, std::string_view key, const std::string& tensor,
                     const HeaderContext& context) {
  const bool fits =
      value.is_number_unsigned() && value.get<uint64_t>() <= static_cast<uint64_t>(INT64_MAX);
  CHECK(fits, Exit::kModel, "{}: {}: {}: want a whole number from 0 on, found {}", context.what,
        tensor, key, dump_json(value));
  return value.get<int64_t>();
}

std::vector<int64_t> read_shape(const json& value, const std::string& tensor,
                                const HeaderContext& context) {
  CHECK(value.is_array() && value.size() <= kMaxDimensions, Exit::kModel,
        "{}: {}: shape: want an array of at most {} whole numbers", context.what, tensor,
        kMaxDimensions);
  std::vector<int64_t> shape;
  for (const auto& dimension : value)
    shape.push_back(whole_number(dimension, "shape", tensor, context));
  return shape;
}

/// Bytes of `shape` elements of `bits` bits, or nothing if the number leaves int64_t or ends inside
/// a byte. Zero dimensions count first, so that they are not hidden by an overflow.
std::optional<int64_t> bytes_of(std::span<const int64_t> shape, int bits) {
  if (std::ranges::count(shape, 0) > 0) return 0;
  int64_t total_bits = bits;
  for (const int64_t dimension : shape)
    if (__builtin_mul_overflow(total_bits, dimension, &total_bits)) return std::nullopt;
  if (total_bits % 8 != 0) return std::nullopt;
  return total_bits / 8;
}

void read_place(const json& value, TensorEntry& tensor, const HeaderContext& context) {
  CHECK(value.is_array() && value.size() == 2, Exit::kModel,
        "{}: {}: data_offsets: want [begin, end], found {}", context.what, tensor.name,
        dump_json(value));
  const int64_t begin = whole_number(value[0], "data_offsets", tensor.name, context);
  const int64_t end = whole_number(value[1], "data_offsets", tensor.name, context);
  CHECK(begin <= end, Exit::kModel, "{}: {}: data_offsets: begin {} is behind end {}", context.what,
        tensor.name, begin, end);
  const int64_t data_bytes = context.file_bytes - context.data_begin;
  CHECK(end <= data_bytes, Exit::kModel,
        "{}: truncated: {} ends at byte {} of the tensors' part, which has {}; download it again",
        context.what, tensor.name, end, data_bytes);
  tensor.begin = context.data_begin + begin;
  tensor.end = context.data_begin + end;
}

TensorEntry read_entry(const std::string& name, const json& value, const HeaderContext& context) {
  const bool complete = value.is_object() && value.contains("dtype") &&
                        value["dtype"].is_string() && value.contains("shape") &&
                        value.contains("data_offsets");
  CHECK(complete, Exit::kModel,
        "{}: {}: want an object with dtype (a string), shape and data_offsets", context.what, name);
  TensorEntry tensor;
  tensor.name = name;
  tensor.type_name = value["dtype"].get<std::string>();
  tensor.shape = read_shape(value["shape"], name, context);
  read_place(value["data_offsets"], tensor, context);
  const auto stored = std::ranges::find(kStoredTypes, tensor.type_name, &StoredType::name);
  if (stored == kStoredTypes.end()) return tensor;  // of unknown size; an error when it is read
  tensor.type = stored->type;
  const auto bytes = bytes_of(tensor.shape, stored->bits);
  CHECK(bytes && *bytes == tensor.end - tensor.begin, Exit::kModel,
        "{}: {}: {} {} takes {} bytes, data_offsets hold {}", context.what, name, tensor.type_name,
        shape_text(tensor.shape), bytes ? std::to_string(*bytes) : "an impossible number of",
        tensor.end - tensor.begin);
  return tensor;
}

void check_no_overlap(const std::vector<TensorEntry>& tensors, const std::string& what) {
  const TensorEntry* last = nullptr;
  for (const auto& tensor : tensors) {
    if (tensor.begin == tensor.end) continue;
    CHECK(last == nullptr || last->end <= tensor.begin, Exit::kModel,
          "{}: {} and {} overlap: bytes {} to {} and {} to {}", what, last->name, tensor.name,
          last->begin, last->end, tensor.begin, tensor.end);
    last = &tensor;
  }
}

}  // namespace

std::string shape_text(std::span<const int64_t> shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

SafetensorsHeader parse_safetensors_header(std::span<const std::byte> bytes, int64_t file_bytes,
                                           const std::string& what) {
  const std::string_view text = header_text(bytes, file_bytes, what);
  SafetensorsHeader header;
  header.header_bytes = kLengthBytes + std::ssize(text);
  const json value = parse_json_unique(text, what, Exit::kModel);
  CHECK(value.is_object(), Exit::kModel, "{}: want a JSON object as header, found a {}", what,
        value.type_name());
  const HeaderContext context{what, header.header_bytes, file_bytes};
  for (const auto& [name, entry] : value.items())
    if (name != "__metadata__") header.tensors.push_back(read_entry(name, entry, context));
  std::ranges::sort(header.tensors, {}, [](const auto& t) { return std::pair(t.begin, t.end); });
  check_no_overlap(header.tensors, what);
  return header;
}

SafetensorsFile::SafetensorsFile(const fs::path& path)
    : file_(path, Exit::kModel),
      header_(parse_safetensors_header(file_.bytes(), file_.size(), path.string())) {}

std::span<const std::byte> SafetensorsFile::header_bytes() const {
  return file_.bytes().first(static_cast<size_t>(header_.header_bytes));
}

std::span<const std::byte> SafetensorsFile::bytes(const TensorEntry& tensor) const {
  return file_.bytes().subspan(static_cast<size_t>(tensor.begin),
                               static_cast<size_t>(tensor.end - tensor.begin));
}

void read_elements(const TensorPlace& place, int64_t begin, std::span<float> values) {
  const TensorEntry& tensor = *place.tensor;
  CHECK(tensor.type.has_value(), Exit::kModel, "{}: {}: want bf16, f16 or f32, file has {}",
        place.file->path().string(), tensor.name, tensor.type_name);
  const std::span<const std::byte> bytes = place.file->bytes(tensor);
  const int64_t element = size_of(*tensor.type);
  const int64_t count = std::ssize(values);
  CHECK(begin >= 0 && begin <= std::ssize(bytes) / element &&
            count <= std::ssize(bytes) / element - begin,
        Exit::kInternal, "{}: elements {} to {} are asked for, it has {}", tensor.name, begin,
        begin + count, std::ssize(bytes) / element);
  best_kernels().widen(*tensor.type, bytes.data() + begin * element, count, values.data());
  place.file->check_read();
}

bool SafetensorsFolder::has_files(const fs::path& folder) {
  std::error_code ignored;
  return fs::exists(folder / kSingle, ignored) || fs::exists(folder / kIndex, ignored);
}

SafetensorsFolder::SafetensorsFolder(const fs::path& folder) {
  std::error_code ignored;
  if (fs::exists(folder / kSingle, ignored)) {
    files_.emplace_back(folder / kSingle);
    add_tensors();
  } else {
    CHECK(fs::exists(folder / kIndex, ignored), Exit::kModel,
          "{}: neither {} nor {} is there; other weight files are not read: save the model as "
          "safetensors, or use --load-format dummy",
          folder.string(), kSingle, kIndex);
    open_indexed(folder);
  }
}

void SafetensorsFolder::open_indexed(const fs::path& folder) {
  const std::string what = (folder / kIndex).string();
  const json index = parse_json_unique(read_file(folder / kIndex, kMaxIndexBytes, Exit::kModel),
                                       what, Exit::kModel);
  const bool has_map = index.is_object() && index.contains("weight_map") &&
                       index["weight_map"].is_object() && !index["weight_map"].empty();
  CHECK(has_map, Exit::kModel, "{}: want an object 'weight_map' from tensors to files", what);
  std::set<std::string> names;
  for (const auto& [tensor, file] : index["weight_map"].items()) {
    CHECK(file.is_string(), Exit::kModel, "{}: {}: want a file's name, found {}", what, tensor,
          dump_json(file));
    const auto name = file.get<std::string>();
    CHECK(!name.empty() && fs::path(name).filename() == name && name != "..", Exit::kModel,
          "{}: {}: want the name of a file in the same folder, found '{}'", what, tensor, name);
    names.insert(name);
  }
  std::error_code ignored;
  for (const auto& name : names) {
    CHECK(fs::exists(folder / name, ignored), Exit::kModel,
          "{}: {} is named there and is not in the folder; download it again", what, name);
    files_.emplace_back(folder / name);
  }
  add_tensors();
  for (const auto& [tensor, file] : index["weight_map"].items()) {
    const auto place = tensors_.find(tensor);
    const auto name = file.get<std::string>();
    CHECK(place != tensors_.end() && place->second.file->path().filename() == name, Exit::kModel,
          "{}: {}: {} does not have it; index and files do not belong together", what, tensor,
          name);
  }
}

void SafetensorsFolder::add_tensors() {
  for (const auto& file : files_) {
    for (const auto& tensor : file.header().tensors) {
      const auto [place, is_new] = tensors_.try_emplace(tensor.name, TensorPlace{&file, &tensor});
      CHECK(is_new, Exit::kModel, "{}: {} stands in {} too", file.path().string(), tensor.name,
            place->second.file->path().filename().string());
    }
  }
}

}  // namespace llmpq
