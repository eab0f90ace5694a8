// HDF5 files: owners of its objects, each C call wrapped once, the library's own error text in our
// exceptions. No hdf5.h in here, so that whoever includes this compiles fast.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "kernels/check.hpp"

namespace llmpq::h5 {

/// An identifier of the HDF5 library (hid_t), given back when its owner goes.
class Handle {
 public:
  Handle() = default;
  explicit Handle(int64_t id) : id_(id) {}
  ~Handle();
  Handle(Handle&& other) noexcept;
  Handle& operator=(Handle&& other) noexcept;
  int64_t get() const { return id_; }

 private:
  int64_t id_ = -1;
};

/// What an object is called in messages ("prompts.h5:/prompt") and the code of its errors.
struct Place {
  std::string name;
  Exit code = Exit::kInternal;
};

enum class Scalar { kUint8, kInt32, kInt64, kUint64, kFloat32, kFloat64 };

template <typename T>
constexpr Scalar scalar_of();
template <>
constexpr Scalar scalar_of<uint8_t>() {
  return Scalar::kUint8;
}
template <>
constexpr Scalar scalar_of<int32_t>() {
  return Scalar::kInt32;
}
template <>
constexpr Scalar scalar_of<int64_t>() {
  return Scalar::kInt64;
}
template <>
constexpr Scalar scalar_of<uint64_t>() {
  return Scalar::kUint64;
}
template <>
constexpr Scalar scalar_of<float>() {
  return Scalar::kFloat32;
}
template <>
constexpr Scalar scalar_of<double>() {
  return Scalar::kFloat64;
}

enum class Kind { kInteger, kFloat, kText, kOther };

/// The type of a dataset's values as it stands in the file.
struct ValueType {
  Kind kind = Kind::kOther;
  int64_t bytes = 0;         ///< of one value; of the longest text if its length is fixed
  bool is_signed = false;    ///< integers
  bool is_variable = false;  ///< texts of any length
  std::string text() const;  ///< "int32", "float64", "string" ... for messages
};

/// A dataset of one or more dimensions, read and written by rows (the first dimension).
class Dataset {
 public:
  Dataset(Handle handle, Place place);

  const std::string& name() const { return place_.name; }
  Exit code() const { return place_.code; }
  const ValueType& type() const { return type_; }
  /// The extents; rows() is the first, row_values() the product of the others.
  const std::vector<int64_t>& shape() const { return shape_; }
  int64_t rows() const { return shape_.empty() ? 1 : shape_[0]; }
  int64_t row_values() const;

  /// Rows [begin, begin + count), converted to T by HDF5. The values must be numbers.
  template <typename T>
  std::vector<T> read(int64_t begin, int64_t count) const {
    std::vector<T> values(checked_values(begin, count, sizeof(T)));
    read_raw(begin, count, scalar_of<T>(), values.data());
    return values;
  }
  /// Texts of either length, one dimension; padding is cut off.
  std::vector<std::string> read_text(int64_t begin, int64_t count) const;

  /// Writes whole rows at `begin`; the dataset grows where needed.
  template <typename T>
  void write(int64_t begin, std::span<const T> values) {
    write_raw(begin, static_cast<int64_t>(values.size()), scalar_of<T>(), values.data());
  }
  /// Texts without U+0000; one too long for a fixed-length dataset throws.
  void write_text(int64_t begin, std::span<const std::string> texts);
  void resize(int64_t rows);

  /// Gives what was written to the operating system.
  void flush();
  /// Sees what a running writer has added since (files opened live).
  void refresh();

 private:
  size_t checked_values(int64_t begin, int64_t count, size_t value_bytes) const;
  void read_raw(int64_t begin, int64_t count, Scalar type, void* values) const;
  void write_raw(int64_t begin, int64_t count, Scalar type, const void* values);
  void write_rows(int64_t begin, int64_t rows, int64_t memory_type, const void* values);
  void read_shape();

  Handle handle_;
  Place place_;
  ValueType type_;
  std::vector<int64_t> shape_;
};

/// How to make a chunked dataset that grows.
struct DatasetSpec {
  ValueType type;
  int64_t chunk_rows = 1024;
  std::vector<int64_t> inner;  ///< extents after the first
  bool compress = true;        ///< numbers are shuffled and compressed
};

template <typename T>
ValueType value_type() {
  constexpr bool kIsFloat = T(1) / T(2) != 0;
  return {kIsFloat ? Kind::kFloat : Kind::kInteger, sizeof(T), T(-1) < T(0), false};
}
/// UTF-8 of any length, or in fields of `fixed_bytes`, the ending zero included.
ValueType text_type(int64_t fixed_bytes = 0);

/// A file's root or a group: names, datasets, attributes.
class Group {
 public:
  Group(Handle handle, Place place) : handle_(std::move(handle)), place_(std::move(place)) {}

  const std::string& name() const { return place_.name; }
  Exit code() const { return place_.code; }
  bool has(const std::string& name) const;
  bool is_dataset(const std::string& name) const;
  /// The names in this group, sorted.
  std::vector<std::string> names() const;

  Dataset dataset(const std::string& name) const;
  Group group(const std::string& name) const;
  /// A dataset without rows. Text of any length cannot be compressed by HDF5.
  Dataset create_dataset(const std::string& name, const DatasetSpec& spec);
  Group create_group(const std::string& name);

  bool has_attribute(const std::string& name) const;
  std::string text_attribute(const std::string& name) const;
  int64_t integer_attribute(const std::string& name) const;
  /// A variable-length UTF-8 string; no limit on its length.
  void set_attribute(const std::string& name, const std::string& text);
  void set_attribute(const std::string& name, int64_t value);

 protected:
  Place place_of(const std::string& name) const;
  Handle handle_;
  Place place_;
};

/// An open file. `code` is the exit code of every error that comes from it.
class File : public Group {
 public:
  enum class Mode {
    kRead,   ///< nobody writes it
    kLive,   ///< a SWMR writer may be at work or was killed
    kWrite,  ///< to change what is there
  };
  static File open(const std::filesystem::path& path, Mode mode, Exit code);
  /// A new file; one that stands there is emptied. `live`: in the form that SWMR needs.
  static File create(const std::filesystem::path& path, bool live, Exit code);
  /// Makes a SWMR file whose writer was killed fit for File::open(kWrite).
  static void recover(const std::filesystem::path& path, Exit code);

  /// From here on readers may look on; all datasets and attributes exist already.
  void start_live_writing();
  /// Gives everything to the operating system; sync() also makes it survive a crash of the host.
  void flush();
  void sync();
  /// The file is not at `path` any more: somebody removed it, or put another in its place. What is
  /// written to it is lost when it is closed.
  bool is_removed_from(const std::filesystem::path& path) const;

 private:
  int descriptor() const;
  File(Handle handle, Place place) : Group(std::move(handle), std::move(place)) {}
};

/// Whether the file begins like an HDF5 file; false where it cannot be read.
bool is_hdf5(const std::filesystem::path& path);

/// Keeps the library from closing what is open when the program exits: after a write that failed
/// (a full disk) it crashes there. Before the first other call.
void dont_close_at_exit();

}  // namespace llmpq::h5
