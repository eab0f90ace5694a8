// Typed access to the keys of our own JSON files (clusters, profiles). Every value is checked for
// type and range before use; errors are Error(kUsage) and name file, key, what was wanted and what
// was found.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace llmpq {

/// A view of one JSON object, which must outlive it. null counts as absent.
class JsonFields {
 public:
  /// `path` is the way to the object ("nodes[1]"), empty for the file itself.
  JsonFields(const nlohmann::json& object, std::string file, std::string path = "");

  /// Refuses keys that are not in the list, with the nearest that is.
  void allow(const std::vector<std::string>& keys) const;
  /// Refuses a file whose key "format" is another one.
  void check_format(std::string_view format) const;

  bool has(const std::string& key) const { return find(key) != nullptr; }
  /// nullptr if absent.
  const nlohmann::json* find(const std::string& key) const;
  /// All keys, in order.
  std::vector<std::string> keys() const;

  std::string text(const std::string& key) const;  ///< not empty
  std::string text_or(const std::string& key, std::string_view otherwise) const;
  /// A whole number in [least, most].
  int64_t integer(const std::string& key, int64_t least, int64_t most) const;
  int64_t integer_or(const std::string& key, int64_t least, int64_t most, int64_t otherwise) const;
  /// A finite number above 0, or at least 0.
  double positive(const std::string& key) const;
  double not_negative(const std::string& key) const;
  double not_negative_or(const std::string& key, double otherwise) const;
  /// A list of one or more numbers, each at least 0.
  std::vector<double> numbers(const std::string& key) const;

  JsonFields object(const std::string& key) const;
  /// The objects of a list; nothing if the list is absent.
  std::vector<JsonFields> objects(const std::string& key) const;

  [[noreturn]] void refuse(const std::string& key, std::string_view wanted) const;
  /// "FILE: nodes[1].": begins sentences about this object.
  std::string where() const;

 private:
  const nlohmann::json& at(const std::string& key, std::string_view wanted) const;
  double number(const std::string& key, std::string_view wanted) const;

  const nlohmann::json* object_;
  std::string file_, path_;
};

}  // namespace llmpq
