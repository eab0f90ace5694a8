#include "input/row_options.hpp"

#include <array>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/json.hpp"
#include "base/narrow.hpp"
#include "base/whole.hpp"

namespace llmpq {
namespace {

constexpr double kMost = 2147483647;
constexpr double kWide = 1e6;

template <auto member>
void set(Sampling& sampling, double value) {
  auto& field = sampling.*member;
  field = narrow_to<std::remove_reference_t<decltype(field)>>(value);
}

constexpr std::array kRowOptions = {
    RowOption{"max_tokens", true, 1, kMost, false, set<&Sampling::max_tokens>},
    RowOption{"min_tokens", true, 0, kMost, false, set<&Sampling::min_tokens>},
    RowOption{"temperature", false, 0, kWide, false, set<&Sampling::temperature>},
    RowOption{"top_p", false, 0, 1, true, set<&Sampling::top_p>},
    RowOption{"top_k", true, 0, kMost, false, set<&Sampling::top_k>},
    RowOption{"min_p", false, 0, 1, false, set<&Sampling::min_p>},
    RowOption{"repetition_penalty", false, 0, kWide, true, set<&Sampling::repetition_penalty>},
    RowOption{"presence_penalty", false, -kWide, kWide, false, set<&Sampling::presence_penalty>},
    RowOption{"frequency_penalty", false, -kWide, kWide, false, set<&Sampling::frequency_penalty>},
    RowOption{"ignore_eos", true, 0, 1, false, set<&Sampling::ignore_eos>},
};

}  // namespace

std::span<const RowOption> row_options() { return kRowOptions; }

std::string apply_row_option(const RowOption& option, double value, Sampling& sampling) {
  if (std::isnan(value) || value == -1) return "";
  const bool too_low = option.without_low ? value <= option.low : value < option.low;
  if (too_low || value > option.high) {
    return fmt::format(
        "{} is {}, want a value {} {} and at most {}; NaN or -1 stands for the job's", option.name,
        value, option.without_low ? "above" : "of at least", option.low, option.high);
  }
  if (option.is_integer && !is_whole(value))
    return fmt::format("{} is {}, want a whole number; NaN or -1 stands for the job's", option.name,
                       value);
  option.set(sampling, value);
  return "";
}

std::string apply_row_seed(int64_t value, Sampling& sampling) {
  if (value == -1) return "";
  if (value < 0) return fmt::format("seed is {}, want at least 0, or -1 for the job's", value);
  return apply_row_seed(static_cast<uint64_t>(value), sampling);
}

std::string apply_row_seed(uint64_t value, Sampling& sampling) {
  sampling.seed = value;
  return "";
}

std::string apply_row_seed(double value, Sampling& sampling) {
  if (std::isnan(value) || value == -1) return "";
  if (value < 0 || !is_whole(value))
    return fmt::format(
        "seed is {}, want a whole number from 0 to below 2^53 in a column of floats; integers may "
        "be larger, with -1 for the job's",
        value);
  return apply_row_seed(static_cast<uint64_t>(value), sampling);
}

std::string apply_row_stop(const std::string& text, Sampling& sampling) {
  if (text.empty()) return "";
  if (text[0] != '[') {
    sampling.stop = {text};
    return "";
  }
  try {
    sampling.stop = parse_json(text, "stop", Exit::kPrompts).get<std::vector<std::string>>();
    return "";
  } catch (const std::exception& error) {
    return fmt::format("stop is '{}', want one string or a JSON array of strings", text);
  }
}

}  // namespace llmpq
