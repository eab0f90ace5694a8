#include "input/utf8_repair.hpp"

#include "base/utf8.hpp"

namespace llmpq {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

/// Whether bytes that are no character yet may still become one.
bool may_continue(std::string_view bytes) {
  const auto lead = static_cast<unsigned char>(bytes[0]);
  const bool begins = lead >= 0xC2 && lead <= 0xF4;
  return begins && bytes.size() < utf8_length(bytes[0]) &&
         static_cast<size_t>(utf8_step(bytes).bytes) == bytes.size();
}

}  // namespace

void Utf8Repair::push(char byte, std::string& out) {
  pending_.push_back(byte);
  if (utf8_step(pending_).valid) {
    out += pending_;
    pending_.clear();
  } else if (!may_continue(pending_)) {
    const bool alone = pending_.size() == 1;
    out += kReplacement;
    pending_.clear();
    if (!alone) push(byte, out);  // broken before this byte, which may begin something
  }
}

void Utf8Repair::finish(std::string& out) {
  if (!pending_.empty()) out += kReplacement;
  pending_.clear();
}

}  // namespace llmpq
