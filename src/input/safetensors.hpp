// safetensors files: a length (u64), a JSON header with name, type, shape and place of each tensor,
// then the bytes. One file, or several named by an index. Used by the checkpoint; nothing is
// believed before it is checked, so a damaged or hostile file ends in a sentence.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/mapped_file.hpp"
#include "kernels/tensor.hpp"

namespace llmpq {

/// One tensor of a file. Bytes [begin, end) of the file, within it, overlapping no other tensor's.
struct TensorEntry {
  std::string name;
  std::string type_name;      ///< as the header says it: "BF16", "I64"
  std::optional<DType> type;  ///< kF32, kBf16 or kF16; empty for the types we cannot read
  std::vector<int64_t> shape;
  int64_t begin = 0;
  int64_t end = 0;
};

struct SafetensorsHeader {
  int64_t header_bytes = 0;          ///< length and JSON: where the tensors' bytes begin
  std::vector<TensorEntry> tensors;  ///< in the order of their places
};

/// Parses and checks the header at the front of `bytes` for a file of `file_bytes`, which may be
/// longer than `bytes` but not than the header in it. `what` names the file in errors.
/// Error(kModel) for a file that is too short, a header longer than the file or than 100 MB, broken
/// JSON, a name that stands there twice, and sizes and places that do not fit the shape, the file
/// or each other.
SafetensorsHeader parse_safetensors_header(std::span<const std::byte> bytes, int64_t file_bytes,
                                           const std::string& what);

/// "[4096, 1024]"
std::string shape_text(std::span<const int64_t> shape);

/// A file, mapped: memory is touched where a tensor is read.
class SafetensorsFile {
 public:
  explicit SafetensorsFile(const std::filesystem::path& path);
  const std::filesystem::path& path() const { return file_.path(); }
  int64_t size() const { return file_.size(); }
  const SafetensorsHeader& header() const { return header_; }
  std::span<const std::byte> header_bytes() const;
  std::span<const std::byte> bytes(const TensorEntry& tensor) const;
  /// Error(kModel) if some of what was touched so far could not be read.
  void check_read() const { file_.check_read(); }

 private:
  MappedFile file_;
  SafetensorsHeader header_;
};

/// A tensor and the file that has it.
struct TensorPlace {
  const SafetensorsFile* file = nullptr;
  const TensorEntry* tensor = nullptr;
};

/// Converts `values.size()` elements of a tensor, from element `begin` on, to f32. Error(kModel) if
/// the tensor's type is none of bf16, f16 and f32; Error(kInternal) beyond its end.
void read_elements(const TensorPlace& place, int64_t begin, std::span<float> values);

/// All safetensors files of a model folder: model.safetensors, or those that
/// model.safetensors.index.json names.
class SafetensorsFolder {
 public:
  /// Error(kModel) if there are none, one is missing, two have the same tensor, or the index names
  /// a tensor that its file lacks.
  explicit SafetensorsFolder(const std::filesystem::path& folder);
  const std::vector<SafetensorsFile>& files() const { return files_; }
  /// By name. The places hold as long as this object.
  const std::map<std::string, TensorPlace>& tensors() const { return tensors_; }
  /// Whether the folder has weights at all, looked at without opening them.
  static bool has_files(const std::filesystem::path& folder);

 private:
  void open_indexed(const std::filesystem::path& folder);
  void add_tensors();

  std::vector<SafetensorsFile> files_;
  std::map<std::string, TensorPlace> tensors_;
};

}  // namespace llmpq
