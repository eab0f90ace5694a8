// Binds an option to a field of the Job: from and to scalars for each type of field. Used by
// job_options.cpp alone.
#pragma once

#include <fmt/core.h>

#include <cstdlib>
#include <utility>

#include "base/narrow.hpp"
#include "input/job_options.hpp"

namespace llmpq::binding {

template <typename T>
T& at(Job& job, T Job::*field) {
  return job.*field;
}
template <typename T>
T& at(Job& job, T Sampling::*field) {
  return job.sampling.*field;
}
template <typename T>
const T& at(const Job& job, T Job::*field) {
  return job.*field;
}
template <typename T>
const T& at(const Job& job, T Sampling::*field) {
  return job.sampling.*field;
}

template <typename T>
using Names = std::vector<std::pair<std::string, T>>;

/// A value type of a field and the scalar that stands for it.
template <typename T>
T from_scalar(const Scalar& value) {
  if constexpr (std::is_same_v<T, bool>) {
    return std::get<bool>(value);
  } else if constexpr (std::is_integral_v<T>) {
    return static_cast<T>(std::get<int64_t>(value));
  } else if constexpr (std::is_floating_point_v<T>) {
    return narrow_to<T>(std::get<double>(value));
  } else {
    return T(std::get<std::string>(value));
  }
}
template <typename T>
Scalar to_scalar(const T& value) {
  if constexpr (std::is_same_v<T, bool>) {
    return value;
  } else if constexpr (std::is_integral_v<T>) {
    return static_cast<int64_t>(value);
  } else if constexpr (std::is_floating_point_v<T>) {
    // The double that people read: 0.7f is 0.7, not 0.699999988.
    return std::strtod(fmt::format("{}", value).c_str(), nullptr);
  } else if constexpr (std::is_same_v<T, std::filesystem::path>) {
    return value.string();
  } else {
    return value;
  }
}

/// Fills set and get for a field of one value; an empty text or path is "not given".
template <typename Owner, typename T>
Binding single(ValueType type, T Owner::*field) {
  Binding result;
  result.type = type;
  result.set = [field](Job& job, const std::vector<Scalar>& values) {
    at(job, field) = values.empty() ? T{} : from_scalar<T>(values.back());
  };
  result.get = [field](const Job& job) -> std::vector<Scalar> {
    const T& value = at(job, field);
    if constexpr (std::is_same_v<T, std::string> || std::is_same_v<T, std::filesystem::path>)
      if (value.empty()) return {};
    return {to_scalar(value)};
  };
  return result;
}

template <typename Owner, typename T>
Binding single(ValueType type, std::optional<T> Owner::*field) {
  Binding result;
  result.type = type;
  result.unset = "auto";
  result.set = [field](Job& job, const std::vector<Scalar>& values) {
    at(job, field) = values.empty() ? std::nullopt : std::optional(from_scalar<T>(values.back()));
  };
  result.get = [field](const Job& job) -> std::vector<Scalar> {
    const auto& value = at(job, field);
    return value ? std::vector{to_scalar(*value)} : std::vector<Scalar>{};
  };
  return result;
}

template <typename Owner, typename T>
Binding single(ValueType type, std::vector<T> Owner::*field) {
  Binding result;
  result.type = type;
  result.list = true;
  result.set = [field](Job& job, const std::vector<Scalar>& values) {
    at(job, field).clear();
    for (const auto& value : values) at(job, field).push_back(from_scalar<T>(value));
  };
  result.get = [field](const Job& job) {
    std::vector<Scalar> values;
    for (const auto& value : at(job, field)) values.push_back(to_scalar(value));
    return values;
  };
  return result;
}

inline Binding flag(bool Job::*field) { return single(ValueType::kFlag, field); }
inline Binding flag(bool Sampling::*field) { return single(ValueType::kFlag, field); }

template <typename Owner, typename T>
Binding with_range(ValueType type, T Owner::*field, Range range) {
  Binding result = single(type, field);
  result.range = range;
  return result;
}
template <typename Owner, typename T>
Binding integer(T Owner::*field, Range range) {
  return with_range(ValueType::kInteger, field, range);
}
template <typename Owner, typename T>
Binding number(T Owner::*field, Range range) {
  return with_range(ValueType::kNumber, field, range);
}

/// A list that may be one text joined by commas; `auto` empties it.
inline Binding comma_list(Binding list) {
  list.commas = true;
  list.unset = "auto";
  return list;
}

template <typename T>
T value_of(const Names<T>& names, const std::string& text) {
  for (const auto& [name, value] : names)
    if (name == text) return value;
  return names.front().second;  // cannot be: the choice was checked against the same names
}
template <typename T>
std::string name_of(const Names<T>& names, const T& wanted) {
  for (const auto& [name, value] : names)
    if (value == wanted) return name;
  return names.front().first;
}

/// A field that is one of a few named values.
template <typename T>
Binding choice_base(const Names<T>& names) {
  Binding result;
  result.type = ValueType::kChoice;
  for (const auto& [name, value] : names) result.choices.push_back(name);
  return result;
}
template <typename Owner, typename T>
Binding choice(T Owner::*field, Names<T> names) {
  Binding result = choice_base(names);
  result.set = [field, names](Job& job, const std::vector<Scalar>& values) {
    at(job, field) = values.empty() ? T{} : value_of(names, std::get<std::string>(values.back()));
  };
  result.get = [field, names](const Job& job) -> std::vector<Scalar> {
    return {name_of(names, at(job, field))};
  };
  return result;
}
template <typename Owner, typename T>
Binding choice(std::optional<T> Owner::*field, Names<T> names) {
  Binding result = choice_base(names);
  result.unset = "auto";
  result.set = [field, names](Job& job, const std::vector<Scalar>& values) {
    at(job, field).reset();
    if (!values.empty()) at(job, field) = value_of(names, std::get<std::string>(values.back()));
  };
  result.get = [field, names](const Job& job) -> std::vector<Scalar> {
    if (!at(job, field)) return {};
    return {name_of(names, *at(job, field))};
  };
  return result;
}
template <typename Owner, typename T>
Binding choice(std::vector<T> Owner::*field, Names<T> names) {
  Binding result = choice_base(names);
  result.list = true;
  result.set = [field, names](Job& job, const std::vector<Scalar>& values) {
    at(job, field).clear();
    for (const auto& value : values)
      at(job, field).push_back(value_of(names, std::get<std::string>(value)));
  };
  result.get = [field, names](const Job& job) {
    std::vector<Scalar> values;
    for (const auto& value : at(job, field)) values.push_back(name_of(names, value));
    return values;
  };
  return result;
}
/// A text field with a fixed set of values.
inline Binding choice(std::string Job::*field, const std::vector<std::string>& names) {
  Binding result = single(ValueType::kChoice, field);
  result.choices = names;
  return result;
}

}  // namespace llmpq::binding
