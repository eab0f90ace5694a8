// tokenizer.json to TokenizerParts. The one place that knows the file's keys, and which of its
// values are supported; everything else is refused with a sentence that names file, key and value.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "base/json.hpp"
#include "input/bpe.hpp"
#include "input/token_json.hpp"
#include "input/tokenizer_parts.hpp"
#include "input/unigram.hpp"
#include "kernels/check.hpp"

namespace llmpq {
namespace {

using Node = JsonNode;

constexpr int kDeepestSequence = 16;

/// Calls leaf(node, type) for a component, or for each one within its Sequence, in order.
template <typename Leaf>
void each_step(const Node& node, const char* members, Leaf leaf, int depth = 0) {
  CHECK(depth <= kDeepestSequence, Exit::kModel, "{}: sequences nest deeper than {}", node.place(),
        kDeepestSequence);
  const std::string type = node.type();
  if (type != "Sequence") return leaf(node, type);
  node.at(members).each([&](const Node& item) { each_step(item, members, leaf, depth + 1); });
}

/// {"String": text} or {"Regex": pattern}.
Regex pattern_of(const Node& node) {
  const Node pattern = node.at("pattern");
  if (const auto text = pattern.find("String"))
    return Regex::literal(text->string(), text->place());
  const Node regex = pattern.at("Regex");
  return Regex::onig(regex.string(), regex.place());
}

ReplaceText replace_of(const Node& node) { return {pattern_of(node), node.at("content").string()}; }

// ---- normalizer

NormalizerStep normalizer_step(const Node& node, const std::string& type) {
  if (type == "NFC") return NormalForm{.compose = true, .compatibility = false};
  if (type == "NFD") return NormalForm{.compose = false, .compatibility = false};
  if (type == "NFKC") return NormalForm{.compose = true, .compatibility = true};
  if (type == "NFKD") return NormalForm{.compose = false, .compatibility = true};
  if (type == "Lowercase") return Lowercase{};
  if (type == "StripAccents") return StripAccents{};
  if (type == "Strip") {
    return StripSpaces{node.at("strip_left").boolean(), node.at("strip_right").boolean()};
  }
  if (type == "Replace") return replace_of(node);
  if (type == "Prepend") return PrependText{node.at("prepend").string()};
  if (type == "ByteLevel") return BytesToCharacters{};
  if (type == "Precompiled")
    return CharacterMap{
        parse_character_map(node.at("precompiled_charsmap").string(), node.place())};
  node.unsupported(type,
                   "NFC, NFD, NFKC, NFKD, Lowercase, StripAccents, Strip, Replace, Prepend, "
                   "ByteLevel, Precompiled and Sequence");
}

std::vector<NormalizerStep> parse_normalizer(const std::optional<Node>& node) {
  std::vector<NormalizerStep> steps;
  if (!node) return steps;
  each_step(*node, "normalizers", [&](const Node& item, const std::string& type) {
    steps.push_back(normalizer_step(item, type));
  });
  return steps;
}

// ---- pre_tokenizer

Delimiter delimiter_of(const Node& node) {
  const std::string name = node.string();
  if (name == "Removed") return Delimiter::kRemoved;
  if (name == "Isolated") return Delimiter::kIsolated;
  if (name == "MergedWithPrevious") return Delimiter::kMergedWithPrevious;
  if (name == "MergedWithNext") return Delimiter::kMergedWithNext;
  if (name == "Contiguous") return Delimiter::kContiguous;
  node.unsupported(name, "Removed, Isolated, MergedWithPrevious, MergedWithNext and Contiguous");
}

MetaspaceWords::Prepend prepend_of(const Node& node) {
  using Prepend = MetaspaceWords::Prepend;
  // Older files say add_prefix_space instead of prepend_scheme.
  const bool wanted = node.boolean_or("add_prefix_space", true);
  const auto scheme = node.find("prepend_scheme");
  const std::string name = scheme ? scheme->string() : wanted ? "always" : "never";
  CHECK(wanted || name == "never", Exit::kModel,
        "{}: add_prefix_space is false, but prepend_scheme is `{}`", node.place(), name);
  if (name == "always") return Prepend::kAlways;
  if (name == "first") return Prepend::kFirst;
  if (name == "never") return Prepend::kNever;
  scheme->unsupported(name, "always, first and never");
}

PreTokenizerStep pre_tokenizer_step(const Node& node, const std::string& type) {
  if (type == "ByteLevel") {
    return ByteLevelWords{node.at("add_prefix_space").boolean(),
                          node.boolean_or("use_regex", true)};
  }
  if (type == "Split") {
    return SplitBy{pattern_of(node), delimiter_of(node.at("behavior")),
                   node.at("invert").boolean()};
  }
  if (type == "Metaspace") {
    return MetaspaceWords{node.at("replacement").character(), prepend_of(node),
                          node.boolean_or("split", true)};
  }
  if (type == "Whitespace") return split_words_and_signs();
  if (type == "WhitespaceSplit") return split_at_whitespace();
  if (type == "Digits") return split_digits(node.at("individual_digits").boolean());
  if (type == "Punctuation") {
    const auto behavior = node.find("behavior");
    return split_punctuation(behavior ? delimiter_of(*behavior) : Delimiter::kIsolated);
  }
  node.unsupported(type,
                   "ByteLevel, Split, Metaspace, Whitespace, WhitespaceSplit, Digits, Punctuation "
                   "and Sequence");
}

std::vector<PreTokenizerStep> parse_pre_tokenizer(const std::optional<Node>& node) {
  std::vector<PreTokenizerStep> steps;
  if (!node) return steps;
  each_step(*node, "pretokenizers", [&](const Node& item, const std::string& type) {
    steps.push_back(pre_tokenizer_step(item, type));
  });
  return steps;
}

// ---- model

std::pair<std::string, std::string> merge_of(const Node& node) {
  if (node.is_string()) {  // older files: "left right"
    const std::string both = node.string();
    const size_t space = both.find(' ');
    CHECK(space != std::string::npos && both.find(' ', space + 1) == std::string::npos,
          Exit::kModel, "{}: want two tokens with one space between them, found `{}`", node.place(),
          both);
    return {both.substr(0, space), both.substr(space + 1)};
  }
  std::vector<std::string> pair;
  node.each([&](const Node& token) { pair.push_back(token.string()); });
  CHECK(pair.size() == 2, Exit::kModel, "{}: want two tokens, found {}", node.place(), pair.size());
  return {pair[0], pair[1]};
}

void check_dropout(const Node& model) {
  const auto dropout = model.find("dropout");
  CHECK(!dropout || dropout->number() == 0, Exit::kModel,
        "{}: want null or 0: with dropout, ids would be random", dropout->place());
}

std::string string_or_empty(const Node& node, const char* key) {
  const auto found = node.find(key);
  return found ? found->string() : std::string();
}

std::unique_ptr<const TokenModel> parse_bpe(const Node& node) {
  check_dropout(node);
  BpeModel model;
  node.at("vocab").each_member(
      [&](const std::string& token, const Node& id) { model.vocab.emplace_back(token, id.id()); });
  node.at("merges").each([&](const Node& merge) {
    const bool comment = merge.is_string() && merge.string().starts_with("#version");
    if (!comment) model.merges.push_back(merge_of(merge));
  });
  if (const auto unk = node.find("unk_token")) model.unk_token = unk->string();
  model.continuing_subword_prefix = string_or_empty(node, "continuing_subword_prefix");
  model.end_of_word_suffix = string_or_empty(node, "end_of_word_suffix");
  model.fuse_unk = node.boolean_or("fuse_unk", false);
  model.byte_fallback = node.boolean_or("byte_fallback", false);
  model.ignore_merges = node.boolean_or("ignore_merges", false);
  return std::make_unique<Bpe>(std::move(model), node.place());
}

/// One of ["token", log-probability].
std::pair<std::string, double> scored_token(const Node& node) {
  std::pair<std::string, double> token;
  size_t count = 0;
  node.each([&](const Node& item) {
    if (count == 0) token.first = item.string();
    if (count == 1) token.second = item.number();
    ++count;
  });
  CHECK(count == 2, Exit::kModel, "{}: want a token and its score", node.place());
  return token;
}

std::unique_ptr<const TokenModel> parse_unigram(const Node& node) {
  UnigramModel model;
  node.at("vocab").each([&](const Node& item) { model.vocab.push_back(scored_token(item)); });
  if (const auto unk = node.find("unk_id")) {
    const auto most = std::max<int64_t>(1, std::ssize(model.vocab)) - 1;
    model.unk_id = static_cast<int32_t>(unk->integer(0, most));
  }
  model.byte_fallback = node.boolean_or("byte_fallback", false);
  return std::make_unique<Unigram>(std::move(model), node.place());
}

std::unique_ptr<const TokenModel> parse_model(const Node& node) {
  const auto type = node.find("type");
  const std::string name = type ? type->string() : "BPE";  // the oldest files do not say
  if (name == "BPE") return parse_bpe(node);
  if (name == "Unigram") return parse_unigram(node);
  type->unsupported(name, "BPE and Unigram");
}

// ---- added_tokens

AddedTokens parse_added_tokens(const std::optional<Node>& node,
                               const std::vector<NormalizerStep>& normalizer,
                               const TokenModel& model) {
  if (!node) return {};
  std::vector<AddedToken> tokens;
  node->each([&](const Node& token) {
    tokens.push_back({.id = token.at("id").id(),
                      .content = token.at("content").string(),
                      .single_word = token.at("single_word").boolean(),
                      .lstrip = token.at("lstrip").boolean(),
                      .rstrip = token.at("rstrip").boolean(),
                      .normalized = token.at("normalized").boolean(),
                      .special = token.at("special").boolean()});
  });
  return AddedTokens(tokens, normalizer, model, node->place());
}

// ---- post_processor

TemplatePart special_part(const Node& node, const std::string& name) {
  const Node token = node.at("special_tokens").at(name.c_str());
  TemplatePart part;
  token.at("ids").each([&](const Node& id) { part.special_ids.push_back(id.id()); });
  return part;
}

std::vector<TemplatePart> template_parts(const Node& node) {
  std::vector<TemplatePart> parts;
  node.at("single").each([&](const Node& piece) {
    if (const auto special = piece.find("SpecialToken")) {
      parts.push_back(special_part(node, special->at("id").string()));
      return;
    }
    const Node id = piece.at("Sequence").at("id");
    if (id.string() != "A") id.unsupported(id.string(), "A, the only text there is");
    parts.push_back({.is_text = true, .special_ids = {}});
  });
  return parts;
}

/// One of ["token", id].
TemplatePart named_part(const Node& node) {
  TemplatePart part;
  size_t count = 0;
  node.each([&](const Node& item) {
    if (count++ == 1) part.special_ids.push_back(item.id());
  });
  CHECK(count == 2, Exit::kModel, "{}: want a token and its id", node.place());
  return part;
}

std::vector<TemplatePart> parse_post_processor(const std::optional<Node>& node) {
  std::vector<TemplatePart> parts = {{.is_text = true, .special_ids = {}}};
  if (!node) return parts;
  bool adds_tokens = false;
  each_step(*node, "processors", [&](const Node& item, const std::string& type) {
    if (type == "ByteLevel") return;  // concerns offsets only
    CHECK(!std::exchange(adds_tokens, true), Exit::kModel,
          "{}: only one processor may add tokens, `{}` is a second one", item.place(), type);
    if (type == "TemplateProcessing") {
      parts = template_parts(item);
    } else if (type == "BertProcessing" || type == "RobertaProcessing") {
      parts.insert(parts.begin(), named_part(item.at("cls")));
      parts.push_back(named_part(item.at("sep")));
    } else {
      item.unsupported(
          type, "TemplateProcessing, ByteLevel, BertProcessing, RobertaProcessing and Sequence");
    }
  });
  return parts;
}

// ---- decoder

DecoderStep decoder_step(const Node& node, const std::string& type) {
  if (type == "ByteLevel") return DecodeByteLevel{};
  if (type == "ByteFallback") return DecodeByteFallback{};
  if (type == "Fuse") return DecodeFuse{};
  if (type == "Replace") return replace_of(node);
  if (type == "Strip") {
    return DecodeStrip{node.at("content").character(),
                       static_cast<size_t>(node.at("start").integer(0, INT32_MAX)),
                       static_cast<size_t>(node.at("stop").integer(0, INT32_MAX))};
  }
  if (type == "Metaspace") {
    return DecodeMetaspace{node.at("replacement").character(),
                           prepend_of(node) != MetaspaceWords::Prepend::kNever};
  }
  node.unsupported(type, "ByteLevel, ByteFallback, Fuse, Replace, Strip, Metaspace and Sequence");
}

std::vector<DecoderStep> parse_decoder(const std::optional<Node>& node) {
  if (!node) return {DecodeJoin{}};
  std::vector<DecoderStep> steps;
  each_step(*node, "decoders", [&](const Node& item, const std::string& type) {
    steps.push_back(decoder_step(item, type));
  });
  return steps;
}

// ---- all of it

void check_version(const Node& root) {
  const auto version = root.find("version");
  if (version && version->string() != "1.0") version->unsupported(version->string(), "1.0");
}

/// A special token must be one that the model can look up.
void check_special_ids(const TokenizerParts& parts, const std::string& place) {
  for (const TemplatePart& part : parts.post_processor) {
    for (const int32_t id : part.special_ids) {
      CHECK(parts.added.find(id) || parts.model->token(id), Exit::kModel,
            "{}: adds the id {}, which no token has", place, id);
    }
  }
}

}  // namespace

TokenizerParts parse_tokenizer(std::string_view json_text, std::string_view name) {
  const nlohmann::json json = parse_json_unique(json_text, std::string(name), Exit::kModel);
  const Node root = Node::root(json, name);
  check_version(root);
  std::vector<NormalizerStep> normalizer = parse_normalizer(root.find("normalizer"));
  std::vector<PreTokenizerStep> pre_tokenizer = parse_pre_tokenizer(root.find("pre_tokenizer"));
  std::unique_ptr<const TokenModel> model = parse_model(root.at("model"));
  AddedTokens added = parse_added_tokens(root.find("added_tokens"), normalizer, *model);
  TokenizerParts parts{std::move(added),
                       std::move(normalizer),
                       std::move(pre_tokenizer),
                       std::move(model),
                       parse_post_processor(root.find("post_processor")),
                       parse_decoder(root.find("decoder"))};
  check_special_ids(parts, root.place() + ": post_processor");
  return parts;
}

}  // namespace llmpq
