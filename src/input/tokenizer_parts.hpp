// What a Tokenizer is made of: one field for each section of tokenizer.json, in the order in which
// a text passes them. Made by tokenizer_parse.cpp.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "input/decoder.hpp"
#include "input/normalizer.hpp"
#include "input/pre_tokenizer.hpp"
#include "input/token_added.hpp"
#include "input/token_model.hpp"

namespace llmpq {

/// A part of the post-processor's template: the ids of the text, or special ones.
struct TemplatePart {
  bool is_text = false;
  std::vector<int32_t> special_ids;
};

struct TokenizerParts {
  AddedTokens added;
  std::vector<NormalizerStep> normalizer;
  std::vector<PreTokenizerStep> pre_tokenizer;
  std::unique_ptr<const TokenModel> model;
  std::vector<TemplatePart> post_processor;  ///< never empty: at least the text
  std::vector<DecoderStep> decoder;          ///< by spaces where the file has none
};

/// Parses and checks a tokenizer.json; see Tokenizer::parse.
TokenizerParts parse_tokenizer(std::string_view json_text, std::string_view name);

}  // namespace llmpq
