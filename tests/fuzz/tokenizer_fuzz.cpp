// Any bytes as a tokenizer.json: an Error(kModel), or a tokenizer that takes text and ids of all
// kinds and whose incremental decoding agrees with its decoding.
#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "base/utf8.hpp"
#include "input/tokenizer.hpp"
#include "kernels/check.hpp"

namespace {

using namespace llmpq;

constexpr int32_t kMostIds = 400;
constexpr const char* kTexts[] = {"", " Hello's  w\xC3\xB6rld 1234\r\n\n\t<s></s>a",
                                  "\xF0\x9F\x98\x80 e\xCC\x81\xCC\xA3",
                                  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa        x"};

void decode_both_ways(const Tokenizer& tokenizer, const std::vector<int32_t>& ids) {
  const std::string text = tokenizer.decode(ids);
  if (first_invalid_byte(text)) std::abort();
  IncrementalDecoder decoder(tokenizer);
  std::string pieces;
  for (const int32_t id : ids) {
    const std::string piece = decoder.push(id);
    if (first_invalid_byte(piece)) std::abort();
    pieces += piece;
  }
  if (pieces + decoder.finish() != text) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    const Tokenizer tokenizer =
        Tokenizer::parse({reinterpret_cast<const char*>(data), size}, "fuzz.json");
    for (const char* text : kTexts) decode_both_ways(tokenizer, tokenizer.encode(text));
    std::vector<int32_t> ids;
    for (int32_t id = -1; id <= std::min(tokenizer.vocab_size(), kMostIds); ++id) ids.push_back(id);
    decode_both_ways(tokenizer, ids);
  } catch (const Error& error) {
    if (error.code() != Exit::kModel) std::abort();
  }
  return 0;
}
