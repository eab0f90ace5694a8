#include "input/tokenizer.hpp"

#include <algorithm>
#include <utility>

#include "base/file.hpp"
#include "base/utf8.hpp"
#include "input/tokenizer_parts.hpp"
#include "kernels/check.hpp"

namespace llmpq {
namespace {

constexpr int64_t kLongestFile = int64_t{1} << 30;

/// The ids of a text without what the post-processor adds.
std::vector<int32_t> text_ids(const TokenizerParts& parts, std::string_view text) {
  std::vector<Piece> pieces = parts.added.split(text, parts.normalizer);
  pre_tokenize(parts.pre_tokenizer, pieces);
  std::vector<int32_t> ids;
  for (const Piece& piece : pieces) {
    if (piece.token >= 0) {
      ids.push_back(piece.token);
    } else {
      parts.model->encode(piece.text, ids);
    }
  }
  return ids;
}

/// What the decoder sees of an id, or null if the id is left out.
const std::string* decoded_token(const TokenizerParts& parts, int32_t id, bool skip_special) {
  const AddedToken* added = parts.added.find(id);
  const std::string* token = added ? &parts.added.decoded_form(*added) : parts.model->token(id);
  if (token && skip_special && parts.added.is_special_content(*token)) return nullptr;
  return token;
}

}  // namespace

Tokenizer Tokenizer::load(const std::filesystem::path& tokenizer_json) {
  const std::string text = read_file(tokenizer_json, kLongestFile, Exit::kModel);
  check_no_lfs_pointer(text, tokenizer_json.string(), Exit::kModel);
  return parse(text, tokenizer_json.string());
}

Tokenizer Tokenizer::parse(std::string_view json_text, std::string_view name) {
  return Tokenizer(std::make_shared<const TokenizerParts>(parse_tokenizer(json_text, name)));
}

std::vector<int32_t> Tokenizer::encode(std::string_view text, bool add_special) const {
  const auto error = first_invalid_byte(text);
  CHECK(!error, Exit::kPrompts,
        "the text is not valid UTF-8: byte {} of {}, 0x{:02X}, fits nowhere", *error, text.size(),
        static_cast<unsigned char>(text[*error]));
  const std::vector<int32_t> body = text_ids(*parts_, text);
  std::vector<int32_t> ids;
  for (const TemplatePart& part : parts_->post_processor) {
    if (part.is_text) {
      ids.insert(ids.end(), body.begin(), body.end());
    } else if (add_special) {
      ids.insert(ids.end(), part.special_ids.begin(), part.special_ids.end());
    }
  }
  return ids;
}

std::string Tokenizer::decode(std::span<const int32_t> ids, bool skip_special) const {
  DecoderChain chain(parts_->decoder);
  for (const int32_t id : ids) {
    if (const std::string* token = decoded_token(*parts_, id, skip_special)) chain.token(*token);
  }
  chain.finish();
  return chain.take_text();
}

int32_t Tokenizer::vocab_size() const {
  return std::max(parts_->model->largest_id(), parts_->added.largest_id()) + 1;
}

std::optional<int32_t> Tokenizer::id_of(std::string_view token) const {
  if (const AddedToken* added = parts_->added.find(token)) return added->id;
  return parts_->model->id_of(token);
}

std::string Tokenizer::token(int32_t id) const {
  if (const AddedToken* added = parts_->added.find(id)) return added->content;
  const std::string* token = parts_->model->token(id);
  return token ? *token : std::string();
}

bool Tokenizer::is_special(int32_t id) const {
  const AddedToken* added = parts_->added.find(id);
  return added && added->special;
}

struct IncrementalDecoder::State {
  std::shared_ptr<const TokenizerParts> parts;
  bool skip_special;
  DecoderChain chain;
};

IncrementalDecoder::IncrementalDecoder(const Tokenizer& tokenizer, bool skip_special)
    : state_(new State{tokenizer.parts_, skip_special, DecoderChain(tokenizer.parts_->decoder)}) {}
IncrementalDecoder::~IncrementalDecoder() = default;
IncrementalDecoder::IncrementalDecoder(IncrementalDecoder&&) noexcept = default;
IncrementalDecoder& IncrementalDecoder::operator=(IncrementalDecoder&&) noexcept = default;

std::string IncrementalDecoder::push(int32_t id) {
  const std::string* token = decoded_token(*state_->parts, id, state_->skip_special);
  if (token) state_->chain.token(*token);
  return state_->chain.take_text();
}

std::string IncrementalDecoder::finish() {
  state_->chain.finish();
  return state_->chain.take_text();
}

}  // namespace llmpq
