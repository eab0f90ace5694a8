// Typed access to the keys of a model's JSON configuration. Every value is checked for type and
// range before use; the errors name file, key, what was wanted and what was found. Used by
// families.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "kernels/check.hpp"

namespace llmpq {

/// A view of one JSON object, which must outlive it. null counts as absent, as transformers has it.
class ConfigReader {
 public:
  /// `what` names the file (and the object in it) in errors. Error(kModel) if not an object.
  ConfigReader(const nlohmann::json& object, std::string what);

  bool has(std::string_view key) const;
  /// Whether the key stands there, be it as null.
  bool mentions(std::string_view key) const;
  /// The value; Error(kModel) if absent.
  const nlohmann::json& at(std::string_view key) const;

  /// A whole number in [1, most].
  int64_t size(std::string_view key, int64_t most) const;
  int64_t size_or(std::string_view key, int64_t most, int64_t otherwise) const;
  /// A number in [least, most].
  double number_or(std::string_view key, double least, double most, double otherwise) const;
  bool flag_or(std::string_view key, bool otherwise) const;
  std::string text(std::string_view key) const;
  std::string text_or(std::string_view key, std::string_view otherwise) const;
  ConfigReader object(std::string_view key) const;

  /// The first of several names for one thing that stands there; the first of all if none does.
  std::string_view first_of(std::initializer_list<std::string_view> keys) const;

  /// Throws Error(kModel): "FILE: KEY: want WANTED, found VALUE".
  [[noreturn]] void refuse(std::string_view key, std::string_view wanted) const;
  /// Refuses a flag that is true: what it asks for is not supported.
  void refuse_if_set(std::string_view key) const;

  const std::string& what() const { return what_; }

 private:
  const nlohmann::json* object_;
  std::string what_;
};

}  // namespace llmpq
