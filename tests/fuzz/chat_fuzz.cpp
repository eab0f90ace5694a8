// Any bytes as a chat template: an Error(kModel), or a template that renders a chat or refuses it.
#include <cstdint>
#include <cstdlib>

#include "input/chat_template.hpp"
#include "kernels/check.hpp"

namespace {

using namespace llmpq;

constexpr const char* kRow =
    R"({"messages": [{"role": "system", "content": " S "}, {"role": "user", "content": "a b\nc"},
        {"role": "assistant", "content": null, "tool_calls": [{"function": {"name": "f",
        "arguments": {"x": 1, "y": [1.5, true]}}}]}], "tools": [{"name": "f"}]})";

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    ChatTemplate::parse({reinterpret_cast<const char*>(data), size}, "", "fuzz.jinja")
        .render(kRow, 0);
  } catch (const Error& error) {
    if (error.code() != Exit::kModel && error.code() != Exit::kPrompts) std::abort();
  }
  return 0;
}
