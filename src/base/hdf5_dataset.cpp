#include <algorithm>
#include <array>

#include "base/hdf5.hpp"
#include "base/hdf5_check.hpp"

namespace llmpq::h5 {
namespace {

/// More values in one read are refused: callers read in windows.
constexpr int64_t kMostBytes = int64_t{4} << 30;

hid_t memory_type(Scalar type) {
  switch (type) {
    case Scalar::kUint8:
      return H5T_NATIVE_UINT8;
    case Scalar::kInt32:
      return H5T_NATIVE_INT32;
    case Scalar::kInt64:
      return H5T_NATIVE_INT64;
    case Scalar::kUint64:
      return H5T_NATIVE_UINT64;
    case Scalar::kFloat32:
      return H5T_NATIVE_FLOAT;
    case Scalar::kFloat64:
      return H5T_NATIVE_DOUBLE;
  }
  return -1;
}

Kind kind_of(H5T_class_t type_class) {
  switch (type_class) {
    case H5T_INTEGER:
    case H5T_ENUM:  // h5py's booleans
      return Kind::kInteger;
    case H5T_FLOAT:
      return Kind::kFloat;
    case H5T_STRING:
      return Kind::kText;
    default:
      return Kind::kOther;
  }
}

ValueType describe(const Handle& type, const Place& place) {
  ValueType found;
  found.kind = kind_of(CHECK_H5(place, H5Tget_class(type.get())));
  found.bytes = static_cast<int64_t>(H5Tget_size(type.get()));
  if (found.kind == Kind::kInteger) found.is_signed = H5Tget_sign(type.get()) == H5T_SGN_2;
  if (found.kind == Kind::kText) {
    found.is_variable = CHECK_H5(place, H5Tis_variable_str(type.get())) > 0;
  }
  return found;
}

/// The type in the file, little-endian.
Handle file_type(const ValueType& type, const Place& place) {
  if (type.kind == Kind::kText) {
    Handle text(CHECK_H5(place, H5Tcopy(H5T_C_S1)));
    const size_t bytes = type.is_variable ? H5T_VARIABLE : static_cast<size_t>(type.bytes);
    CHECK_H5(place, H5Tset_size(text.get(), bytes));
    CHECK_H5(place, H5Tset_cset(text.get(), H5T_CSET_UTF8));
    return text;
  }
  hid_t number = type.bytes == 1 ? H5T_STD_U8LE : type.bytes == 4 ? H5T_STD_I32LE : H5T_STD_I64LE;
  if (type.kind == Kind::kFloat) number = type.bytes == 4 ? H5T_IEEE_F32LE : H5T_IEEE_F64LE;
  if (type.kind == Kind::kInteger && type.bytes == 8 && !type.is_signed) number = H5T_STD_U64LE;
  return Handle(CHECK_H5(place, H5Tcopy(number)));
}

/// The selection of rows [begin, begin + count) in the file, all other dimensions whole.
Handle select_rows(hid_t dataset, const std::vector<int64_t>& shape, int64_t begin, int64_t count,
                   const Place& place) {
  Handle space(CHECK_H5(place, H5Dget_space(dataset)));
  if (shape.empty()) return space;
  std::vector<hsize_t> start(shape.size(), 0);
  std::vector<hsize_t> extent(shape.begin(), shape.end());
  start[0] = static_cast<hsize_t>(begin);
  extent[0] = static_cast<hsize_t>(count);
  CHECK_H5(place, H5Sselect_hyperslab(space.get(), H5S_SELECT_SET, start.data(), nullptr,
                                      extent.data(), nullptr));
  return space;
}

Handle memory_space(int64_t values, const Place& place) {
  const auto extent = static_cast<hsize_t>(values);
  return Handle(CHECK_H5(place, H5Screate_simple(1, &extent, nullptr)));
}

/// The text of a fixed-length field without its padding.
std::string unpadded(const char* field, size_t bytes, H5T_str_t padding) {
  std::string text(field, bytes);
  if (padding == H5T_STR_NULLTERM) text.resize(std::min(text.find('\0'), bytes));
  if (padding == H5T_STR_NULLPAD) text.erase(text.find_last_not_of('\0') + 1);
  if (padding == H5T_STR_SPACEPAD) text.erase(text.find_last_not_of(' ') + 1);
  return text;
}

/// The filter by which values are stored and which this library has not; empty if there is none.
std::string missing_filter(hid_t dataset, const Place& place) {
  const Handle list(CHECK_H5(place, H5Dget_create_plist(dataset)));
  const int filters = CHECK_H5(place, H5Pget_nfilters(list.get()));
  for (int i = 0; i < filters; ++i) {
    unsigned flags = 0, settings = 0;
    size_t values = 0;
    std::array<char, 64> name{};
    const H5Z_filter_t filter =
        CHECK_H5(place, H5Pget_filter2(list.get(), static_cast<unsigned>(i), &flags, &values,
                                       nullptr, name.size(), name.data(), &settings));
    if (CHECK_H5(place, H5Zfilter_avail(filter)) > 0) continue;
    name.back() = '\0';
    const std::string text(name.data());  // some end with where they come from
    return text.empty() ? fmt::format("filter {}", filter) : text.substr(0, text.find(';'));
  }
  return "";
}

/// Error if there are values that this library cannot read, with what makes them readable.
void check_filters(hid_t dataset, const Place& place) {
  const std::string filter = missing_filter(dataset, place);
  if (filter.empty() || H5Dget_storage_size(dataset) == 0) return;
  const size_t colon = place.name.find(":/");
  const std::string path = place.name.substr(colon + 1);
  fail(
      place.code,
      "{}: compressed with {}, which this machine's HDF5 lacks; make it with compression=\"gzip\", "
      "or store it anew where h5py has that filter: f = h5py.File(\"{}\", \"a\"); v = "
      "f[\"{}\"][()]; "
      "del f[\"{}\"]; f[\"{}\"] = v; or name the folder of a plugin for it in HDF5_PLUGIN_PATH",
      place.name, filter, place.name.substr(0, colon), path, path, path);
}

/// The strings that HDF5 allocates for a read, given back to it at the end.
struct VariableTexts {
  std::vector<char*> texts;
  const Handle& type;
  const Handle& space;
  ~VariableTexts() { H5Dvlen_reclaim(type.get(), space.get(), H5P_DEFAULT, texts.data()); }
};

}  // namespace

std::string ValueType::text() const {
  switch (kind) {
    case Kind::kInteger:
      return fmt::format("{}int{}", is_signed ? "" : "u", 8 * bytes);
    case Kind::kFloat:
      return fmt::format("float{}", 8 * bytes);
    case Kind::kText:
      return is_variable ? "string" : fmt::format("string of {} bytes", bytes);
    case Kind::kOther:
      return "another type";
  }
  return "?";
}

ValueType text_type(int64_t fixed_bytes) {
  return {Kind::kText, fixed_bytes, false, fixed_bytes == 0};
}

Dataset::Dataset(Handle handle, Place place)
    : handle_(std::move(handle)), place_(std::move(place)) {
  const Handle type(CHECK_H5(place_, H5Dget_type(handle_.get())));
  type_ = describe(type, place_);
  read_shape();
  check_filters(handle_.get(), place_);
}

void Dataset::read_shape() {
  const Handle space(CHECK_H5(place_, H5Dget_space(handle_.get())));
  const int rank = CHECK_H5(place_, H5Sget_simple_extent_ndims(space.get()));
  std::vector<hsize_t> extents(static_cast<size_t>(rank));
  CHECK_H5(place_, H5Sget_simple_extent_dims(space.get(), extents.data(), nullptr));
  shape_.clear();
  for (const hsize_t extent : extents) {
    CHECK(extent < hsize_t{1} << 48, place_.code, "{}: {} rows are more than can be", place_.name,
          extent);
    shape_.push_back(static_cast<int64_t>(extent));
  }
}

int64_t Dataset::row_values() const {
  int64_t values = 1;
  for (size_t i = 1; i < shape_.size(); ++i) {
    CHECK(shape_[i] == 0 || values <= kMostBytes / shape_[i], place_.code,
          "{}: a row is too large to be read", place_.name);
    values *= shape_[i];
  }
  return values;
}

size_t Dataset::checked_values(int64_t begin, int64_t count, size_t value_bytes) const {
  CHECK(begin >= 0 && count >= 0 && begin <= rows() && count <= rows() - begin, place_.code,
        "{}: rows {} to {} are wanted, the file has {}", place_.name, begin, begin + count, rows());
  const int64_t row_bytes = std::max<int64_t>(1, row_values() * static_cast<int64_t>(value_bytes));
  CHECK(count <= kMostBytes / row_bytes, place_.code,
        "{}: {} rows of {} bytes at once are too many", place_.name, count, row_bytes);
  return static_cast<size_t>(count * row_values());
}

void Dataset::read_raw(int64_t begin, int64_t count, Scalar type, void* values) const {
  CHECK(type_.kind == Kind::kInteger || type_.kind == Kind::kFloat, place_.code,
        "{}: want numbers, found {}", place_.name, type_.text());
  if (count == 0 || row_values() == 0) return;
  const Handle rows = select_rows(handle_.get(), shape_, begin, count, place_);
  const Handle memory = memory_space(count * row_values(), place_);
  CHECK_H5(place_, H5Dread(handle_.get(), memory_type(type), memory.get(), rows.get(), H5P_DEFAULT,
                           values));
}

std::vector<std::string> Dataset::read_text(int64_t begin, int64_t count) const {
  CHECK(type_.kind == Kind::kText && shape_.size() == 1, place_.code,
        "{}: want one dimension of strings, found {} dimensions of {}", place_.name, shape_.size(),
        type_.text());
  const auto field = static_cast<size_t>(type_.bytes);
  checked_values(begin, count, field);
  std::vector<std::string> texts;
  if (count == 0) return texts;
  const Handle type(CHECK_H5(place_, H5Dget_type(handle_.get())));
  const Handle rows = select_rows(handle_.get(), shape_, begin, count, place_);
  const Handle memory = memory_space(count, place_);
  const auto read_into = [&](void* data) {
    CHECK_H5(place_,
             H5Dread(handle_.get(), type.get(), memory.get(), rows.get(), H5P_DEFAULT, data));
  };
  if (type_.is_variable) {
    VariableTexts found{std::vector<char*>(static_cast<size_t>(count), nullptr), type, memory};
    read_into(found.texts.data());
    for (const char* text : found.texts) texts.emplace_back(text != nullptr ? text : "");
    return texts;
  }
  std::vector<char> fields(static_cast<size_t>(count) * field);
  read_into(fields.data());
  const H5T_str_t padding = H5Tget_strpad(type.get());
  for (size_t i = 0; i < static_cast<size_t>(count); ++i) {
    texts.push_back(unpadded(fields.data() + i * field, field, padding));
  }
  return texts;
}

void Dataset::write_rows(int64_t begin, int64_t count, int64_t memory_type, const void* values) {
  if (begin + count > rows()) resize(begin + count);
  if (count == 0) return;
  const Handle selected = select_rows(handle_.get(), shape_, begin, count, place_);
  const Handle memory = memory_space(count * row_values(), place_);
  CHECK_H5(place_,
           H5Dwrite(handle_.get(), memory_type, memory.get(), selected.get(), H5P_DEFAULT, values));
}

void Dataset::write_raw(int64_t begin, int64_t count, Scalar type, const void* values) {
  const int64_t width = row_values();
  CHECK(width > 0 && count % width == 0, Exit::kInternal, "{}: {} values are no whole rows of {}",
        place_.name, count, width);
  write_rows(begin, count / width, memory_type(type), values);
}

void Dataset::write_text(int64_t begin, std::span<const std::string> texts) {
  const Handle type(CHECK_H5(place_, H5Dget_type(handle_.get())));
  const auto count = static_cast<int64_t>(texts.size());
  if (type_.is_variable) {
    std::vector<const char*> pointers;
    for (const std::string& text : texts) pointers.push_back(text.c_str());
    write_rows(begin, count, type.get(), pointers.data());
    return;
  }
  const auto field = static_cast<size_t>(type_.bytes);
  std::vector<char> fields(texts.size() * field, '\0');
  for (size_t i = 0; i < texts.size(); ++i) {
    CHECK(texts[i].size() < field, Exit::kInternal, "{}: '{}' is longer than {} bytes", place_.name,
          texts[i], field - 1);
    std::ranges::copy(texts[i], fields.begin() + static_cast<std::ptrdiff_t>(i * field));
  }
  write_rows(begin, count, type.get(), fields.data());
}

void Dataset::resize(int64_t rows) {
  std::vector<hsize_t> extents(shape_.begin(), shape_.end());
  extents.at(0) = static_cast<hsize_t>(rows);
  CHECK_H5(place_, H5Dset_extent(handle_.get(), extents.data()));
  shape_[0] = rows;
}

void Dataset::flush() { CHECK_H5(place_, H5Dflush(handle_.get())); }

void Dataset::refresh() {
  CHECK_H5(place_, H5Drefresh(handle_.get()));
  read_shape();
}

Dataset Group::create_dataset(const std::string& name, const DatasetSpec& spec) {
  const Place place = place_of(name);
  std::vector<hsize_t> now{0}, most{H5S_UNLIMITED}, chunk{static_cast<hsize_t>(spec.chunk_rows)};
  for (const int64_t extent : spec.inner) {
    for (auto* extents : {&now, &most, &chunk}) extents->push_back(static_cast<hsize_t>(extent));
  }
  const Handle space(
      CHECK_H5(place, H5Screate_simple(static_cast<int>(now.size()), now.data(), most.data())));
  const Handle list(CHECK_H5(place, H5Pcreate(H5P_DATASET_CREATE)));
  CHECK_H5(place, H5Pset_chunk(list.get(), static_cast<int>(chunk.size()), chunk.data()));
  if (spec.compress && !spec.type.is_variable) {
    CHECK_H5(place, H5Pset_shuffle(list.get()));
    CHECK_H5(place, H5Pset_deflate(list.get(), 4));
  }
  const Handle type = file_type(spec.type, place);
  return {Handle(CHECK_H5(place, H5Dcreate2(handle_.get(), name.c_str(), type.get(), space.get(),
                                            H5P_DEFAULT, list.get(), H5P_DEFAULT))),
          place};
}

}  // namespace llmpq::h5
