#include "input/decoder.hpp"

#include <charconv>
#include <optional>
#include <utility>

#include "base/utf8.hpp"
#include "input/token_bytes.hpp"
#include "input/utf8_repair.hpp"

namespace llmpq {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

/// The end of the chain: fragments pile up as text.
class Collect : public DecoderStage {
 public:
  explicit Collect(std::string& text) : text_(text) {}
  void fragment(std::string_view text) override { text_ += text; }
  void end_token() override {}
  void finish() override {}

 private:
  std::string& text_;
};

/// A stage with one behind it.
class Stage : public DecoderStage {
 public:
  explicit Stage(DecoderStage& next) : next_(next) {}
  void finish() override { next_.finish(); }

 protected:
  void emit(std::string_view token) {
    next_.fragment(token);
    next_.end_token();
  }
  DecoderStage& next_;
};

/// A stage that must see a token whole.
class WholeTokenStage : public Stage {
 public:
  using Stage::Stage;
  void fragment(std::string_view text) override { token_ += text; }
  void end_token() override { token(std::exchange(token_, {})); }

 protected:
  virtual void token(const std::string& text) = 0;

 private:
  std::string token_;
};

class ByteLevel : public WholeTokenStage {
 public:
  using WholeTokenStage::WholeTokenStage;
  void finish() override {
    std::string text;
    repair_.finish(text);
    emit(text);
    next_.finish();
  }

 protected:
  void token(const std::string& text) override {
    std::string bytes;
    if (!to_bytes(text, bytes)) bytes = text;  // as it is, if any character is no byte
    std::string out;
    for (const char byte : bytes) repair_.push(byte, out);
    if (!out.empty()) next_.fragment(out);
  }

 private:
  static bool to_bytes(std::string_view text, std::string& bytes) {
    for (size_t at = 0; at < text.size();) {
      const Utf8Step c = utf8_step(text.substr(at));
      const int byte = byte_of_character(c.code_point);
      if (byte < 0) return false;
      bytes.push_back(static_cast<char>(byte));
      at += static_cast<size_t>(c.bytes);
    }
    return true;
  }

  Utf8Repair repair_;
};

/// The byte of a token <0xNN>. As in `tokenizers`, whose number parser also takes "+N".
std::optional<char> fallback_byte(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || !token.ends_with('>')) return std::nullopt;
  std::string_view digits = token.substr(3, 2);
  if (digits.starts_with('+')) digits.remove_prefix(1);
  unsigned char byte = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), byte, 16);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return static_cast<char>(byte);
}

class ByteFallback : public WholeTokenStage {
 public:
  using WholeTokenStage::WholeTokenStage;
  void finish() override {
    flush();
    next_.finish();
  }

 protected:
  void token(const std::string& text) override {
    if (const auto byte = fallback_byte(text)) {
      run_.push_back(*byte);  // nothing of a run is certain before its end
    } else {
      flush();
      emit(text);
    }
  }

 private:
  void flush() {
    const std::string run = std::exchange(run_, {});
    if (!first_invalid_byte(run)) {
      if (!run.empty()) emit(run);
    } else {
      for (size_t i = 0; i < run.size(); ++i) emit(kReplacement);
    }
  }

  std::string run_;
};

class Fuse : public Stage {
 public:
  using Stage::Stage;
  void fragment(std::string_view text) override { next_.fragment(text); }
  void end_token() override {}
  void finish() override {
    next_.end_token();
    next_.finish();
  }
};

class Strip : public Stage {
 public:
  Strip(DecoderStage& next, const DecodeStrip& strip) : Stage(next), strip_(strip) {}

  void fragment(std::string_view text) override {
    while (at_start_ && removed_ < strip_.start && text.starts_with(strip_.content)) {
      text.remove_prefix(strip_.content.size());
      ++removed_;
    }
    if (text.empty()) return;
    at_start_ = false;
    for (size_t at = 0; at < text.size();) {
      const size_t bytes = utf8_length(text[at]);
      character(text.substr(at, bytes));
      at += bytes;
    }
    flush();
  }

  void end_token() override {
    held_ = 0;  // what is held back now is the end
    next_.end_token();
    at_start_ = true;
    removed_ = 0;
  }

 private:
  /// Holds back what may turn out to be the token's end.
  void character(std::string_view c) {
    if (strip_.stop > 0 && c == strip_.content) {
      ++held_;
      if (held_ > strip_.stop) release(1);
    } else {
      release(held_);
      ready_ += c;
    }
  }

  void release(size_t count) {
    for (size_t i = 0; i < count; ++i) ready_ += strip_.content;
    held_ -= count;
  }

  void flush() {
    if (!ready_.empty()) next_.fragment(std::exchange(ready_, {}));
  }

  const DecodeStrip& strip_;
  bool at_start_ = true;
  size_t removed_ = 0;
  size_t held_ = 0;  ///< times the content stood at the end so far; not passed on yet
  std::string ready_;
};

class Metaspace : public Stage {
 public:
  Metaspace(DecoderStage& next, const DecodeMetaspace& step) : Stage(next), step_(step) {}

  void fragment(std::string_view text) override {
    std::string out;
    for (size_t at = 0; at < text.size();) {
      if (text.substr(at).starts_with(step_.replacement)) {
        if (!(first_ && step_.drop_in_first)) out += ' ';
        at += step_.replacement.size();
      } else {
        out += text[at++];
      }
    }
    if (!out.empty()) next_.fragment(out);
  }

  void end_token() override {
    first_ = false;
    next_.end_token();
  }

 private:
  const DecodeMetaspace& step_;
  bool first_ = true;
};

class Replace : public WholeTokenStage {
 public:
  Replace(DecoderStage& next, const ReplaceText& replace)
      : WholeTokenStage(next), replace_(replace) {}

 protected:
  void token(const std::string& text) override { emit(replace_all(replace_, text)); }

 private:
  const ReplaceText& replace_;
};

class Join : public Stage {
 public:
  using Stage::Stage;
  void fragment(std::string_view text) override {
    if (std::exchange(space_due_, false)) next_.fragment(" ");
    next_.fragment(text);
  }
  void end_token() override {
    space_due_ = true;
    next_.end_token();
  }

 private:
  bool space_due_ = false;
};

struct MakeStage {
  DecoderStage& next;

  std::unique_ptr<DecoderStage> operator()(const DecodeByteLevel&) const {
    return std::make_unique<ByteLevel>(next);
  }
  std::unique_ptr<DecoderStage> operator()(const DecodeByteFallback&) const {
    return std::make_unique<ByteFallback>(next);
  }
  std::unique_ptr<DecoderStage> operator()(const DecodeFuse&) const {
    return std::make_unique<Fuse>(next);
  }
  std::unique_ptr<DecoderStage> operator()(const DecodeStrip& step) const {
    return std::make_unique<Strip>(next, step);
  }
  std::unique_ptr<DecoderStage> operator()(const DecodeMetaspace& step) const {
    return std::make_unique<Metaspace>(next, step);
  }
  std::unique_ptr<DecoderStage> operator()(const ReplaceText& step) const {
    return std::make_unique<Replace>(next, step);
  }
  std::unique_ptr<DecoderStage> operator()(const DecodeJoin&) const {
    return std::make_unique<Join>(next);
  }
};

}  // namespace

DecoderChain::DecoderChain(const std::vector<DecoderStep>& steps)
    : text_(std::make_unique<std::string>()) {
  stages_.push_back(std::make_unique<Collect>(*text_));
  for (size_t i = steps.size(); i-- > 0;) {
    stages_.push_back(std::visit(MakeStage{*stages_.back()}, steps[i]));
  }
}

DecoderChain::~DecoderChain() = default;
DecoderChain::DecoderChain(DecoderChain&&) noexcept = default;

void DecoderChain::token(std::string_view text) {
  stages_.back()->fragment(text);
  stages_.back()->end_token();
}

void DecoderChain::finish() { stages_.back()->finish(); }

std::string DecoderChain::take_text() { return std::exchange(*text_, {}); }

}  // namespace llmpq
