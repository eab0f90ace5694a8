// Any bytes as a line of a prompts file in JSONL: an Error(kPrompts), or a record that is written
// and read back as it was; of messages, a chat that is taken for itself again.
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "base/json.hpp"
#include "input/prompt_record.hpp"
#include "kernels/check.hpp"

namespace {

using namespace llmpq;

PromptRecord read(std::string_view text) {
  std::set<std::string> unknown;
  return record_from_json(parse_json(text, "line", Exit::kPrompts), "line", unknown);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    const PromptRecord record = read(text);
    if (record.is_chat) {
      const std::string chat = chat_of_line(text, "line");
      if (chat_of_line(chat, "chat") != chat || !read(chat).is_chat) std::abort();
    } else {
      const std::string written = record_to_json(record).dump();
      if (record_to_json(read(written)).dump() != written) std::abort();
    }
  } catch (const Error& error) {
    if (error.code() != Exit::kPrompts) std::abort();
  }
  return 0;
}
