#include "profile/emulate.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>
#include <utility>

#include "base/file.hpp"
#include "kernels/check.hpp"
#include "profile/bind.hpp"

namespace llmpq {
namespace {

constexpr int kMostSms = 4096;
constexpr double kMostFactor = 1e6;
constexpr double kMostOfCores = 0.7;
constexpr std::string_view kKeys =
    "memory=SIZE, sms=N, profile=FILE, slowdown=N, prefill=N, decode=N, FORMAT.prefill=N, "
    "FORMAT.decode=N";

int parse_sms(const std::string& value, const std::string& spec) {
  int sms = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), sms);
  CHECK(error == std::errc{} && end == value.data() + value.size() && sms >= 1 && sms <= kMostSms,
        Exit::kUsage, "--emulate {}: sms is \"{}\": want an integer from 1 to {}", spec, value,
        kMostSms);
  return sms;
}

int64_t parse_memory(const std::string& value, const std::string& spec) {
  const int64_t bytes = parse_bytes(value, "--emulate " + spec + ": memory", Exit::kUsage);
  CHECK(bytes > 0, Exit::kUsage, "--emulate {}: memory is \"{}\": want more than nothing", spec,
        value);
  return bytes;
}

double parse_factor(const std::string& key, const std::string& value, const std::string& spec) {
  double factor = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), factor);
  CHECK(error == std::errc{} && end == value.data() + value.size() && factor > 0 &&
            factor <= kMostFactor,
        Exit::kUsage, "--emulate {}: {} is \"{}\": want a number above 0, {} at most", spec, key,
        value, kMostFactor);
  return factor;
}

std::optional<Phase> parse_phase(std::string_view text) {
  if (text == "prefill") return Phase::kPrefill;
  if (text == "decode") return Phase::kDecode;
  return std::nullopt;
}

/// Takes the keys of a slowdown; false for other keys.
bool set_factor(Slowdown& slowdown, const std::string& key, const std::string& value,
                const std::string& spec) {
  const size_t dot = key.find('.');
  const bool has_format = dot != std::string::npos;
  const auto phase = parse_phase(has_format ? key.substr(dot + 1) : key);
  if (!phase && key != "slowdown") return false;
  std::optional<Format> format;
  if (has_format) {
    std::vector<std::string_view> names;
    for (const FormatInfo& row : kFormats) names.push_back(row.name);
    format = parse_format(key.substr(0, dot));
    CHECK(format, Exit::kUsage,
          "--emulate {}: \"{}\": no weight format has this name; want one of {}", spec, key,
          fmt::join(names, ", "));
  }
  CHECK(slowdown.set(phase, format, parse_factor(key, value, spec)), Exit::kUsage,
        "--emulate {}: {} is given twice", spec, key);
  return true;
}

/// Takes memory, sms and profile; false for other keys.
bool set_other(Emulation& emulation, const std::string& key, const std::string& value,
               const std::string& spec) {
  if (key != "memory" && key != "sms" && key != "profile") return false;
  CHECK(!(key == "memory" ? emulation.memory_bytes.has_value()
          : key == "sms"  ? emulation.sms.has_value()
                          : !emulation.profile.empty()),
        Exit::kUsage, "--emulate {}: {} is given twice", spec, key);
  if (key == "memory") emulation.memory_bytes = parse_memory(value, spec);
  if (key == "sms") emulation.sms = parse_sms(value, spec);
  if (key != "profile") return true;
  CHECK(!value.empty(), Exit::kUsage, "--emulate {}: profile: want a file", spec);
  emulation.profile = value;
  return true;
}

void set_item(Emulation& emulation, const std::string& item, const std::string& spec) {
  const size_t equals = item.find('=');
  CHECK(equals != std::string::npos, Exit::kUsage,
        "--emulate {}: \"{}\" is no key=value: want none, or these joined by commas: {}", spec,
        item, kKeys);
  const std::string key = item.substr(0, equals), value = item.substr(equals + 1);
  const bool is_factor = set_factor(emulation.slowdown, key, value, spec);
  CHECK(is_factor || set_other(emulation, key, value, spec), Exit::kUsage,
        "--emulate {}: there is no key \"{}\": want {}", spec, key, kKeys);
  if (is_factor || key == "profile") emulation.clock += (emulation.clock.empty() ? "" : ",") + item;
}

std::string needs_text(const std::vector<CoreNeed>& ranks, const std::string& host) {
  std::vector<std::string> texts;
  for (const CoreNeed& rank : ranks)
    if (rank.host == host) texts.push_back(fmt::format("rank {} {:.2f}", rank.rank, rank.cores));
  return fmt::format("{}", fmt::join(texts, ", "));
}

void check_host(const std::vector<CoreNeed>& ranks, const std::string& host) {
  double needed = 0;
  int cores = 0;
  bool is_emulated = false;
  std::set<std::string> masks;
  for (const CoreNeed& rank : ranks) {
    if (rank.host != host) continue;
    needed += rank.cores;
    is_emulated |= rank.emulated;
    if (masks.insert(rank.cpus).second) cores += rank.usable_cpus;
  }
  CHECK(!is_emulated || needed <= kMostOfCores * cores, Exit::kUsage,
        "--emulate: computing for the emulated devices takes {:.2f} cores of {} ({}), more than "
        "{:.0f} % "
        "of its {}, and their times would not hold: make the devices slower, or run fewer ranks",
        needed, host, needs_text(ranks, host), 100 * kMostOfCores, cores);
}

}  // namespace

double Slowdown::factor(Phase phase, std::optional<Format> format) const {
  using Key = decltype(factors_)::key_type;
  for (const Key& key : {Key{phase, format}, Key{phase, std::nullopt}, Key{}})
    if (const auto at = factors_.find(key); at != factors_.end()) return at->second;
  return 1;
}

double Slowdown::least() const {
  double least =
      std::min(factor(Phase::kPrefill, std::nullopt), factor(Phase::kDecode, std::nullopt));
  for (const auto& [key, factor] : factors_)
    if (key.first) least = std::min(least, factor);
  return least;
}

bool Slowdown::set(std::optional<Phase> phase, std::optional<Format> format, double factor) {
  return factors_.try_emplace({phase, format}, factor).second;
}

Emulation parse_emulation(const std::string& spec) {
  Emulation emulation;
  if (spec == "none") return emulation;
  for (size_t begin = 0; begin <= spec.size();) {
    const size_t end = std::min(spec.find(',', begin), spec.size());
    set_item(emulation, spec.substr(begin, end - begin), spec);
    begin = end + 1;
  }
  CHECK(emulation.profile.empty() || emulation.slowdown.empty(), Exit::kUsage,
        "--emulate {}: profile=FILE and factors are two clocks: want one of them", spec);
  return emulation;
}

std::vector<Emulation> emulations(const std::vector<std::string>& specs, int ranks) {
  std::vector<Emulation> parsed;
  for (const std::string& spec : specs) parsed.push_back(parse_emulation(spec));
  return for_each_rank(parsed, ranks, "--emulate");
}

void check_cores(const std::vector<CoreNeed>& ranks) {
  std::set<std::string> hosts;
  for (const CoreNeed& rank : ranks)
    if (hosts.insert(rank.host).second) check_host(ranks, rank.host);
}

}  // namespace llmpq
