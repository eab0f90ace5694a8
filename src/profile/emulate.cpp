#include "profile/emulate.hpp"

#include <charconv>

#include "base/file.hpp"
#include "kernels/check.hpp"
#include "profile/bind.hpp"

namespace llmpq {
namespace {

constexpr int kMostSms = 4096;

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

void set_key(Emulation& emulation, const std::string& item, const std::string& spec) {
  const size_t equals = item.find('=');
  CHECK(equals != std::string::npos, Exit::kUsage,
        "--emulate {}: \"{}\" is no key=value: want none, or memory=SIZE and sms=N joined by a "
        "comma",
        spec, item);
  const std::string key = item.substr(0, equals), value = item.substr(equals + 1);
  const bool is_memory = key == "memory", is_sms = key == "sms";
  CHECK(is_memory || is_sms, Exit::kUsage,
        "--emulate {}: there is no key \"{}\" in this version: want memory=SIZE, sms=N", spec, key);
  CHECK(!(is_memory ? emulation.memory_bytes.has_value() : emulation.sms.has_value()), Exit::kUsage,
        "--emulate {}: {} is given twice", spec, key);
  if (is_memory) emulation.memory_bytes = parse_memory(value, spec);
  if (is_sms) emulation.sms = parse_sms(value, spec);
}

}  // namespace

Emulation parse_emulation(const std::string& spec) {
  Emulation emulation;
  if (spec == "none") return emulation;
  for (size_t begin = 0; begin <= spec.size();) {
    const size_t end = std::min(spec.find(',', begin), spec.size());
    set_key(emulation, spec.substr(begin, end - begin), spec);
    begin = end + 1;
  }
  return emulation;
}

std::vector<Emulation> emulations(const std::vector<std::string>& specs, int ranks) {
  std::vector<Emulation> parsed;
  for (const std::string& spec : specs) parsed.push_back(parse_emulation(spec));
  return for_each_rank(parsed, ranks, "--emulate");
}

}  // namespace llmpq
