// Expressions of a chat template: recursive descent in Jinja's order of precedence. The part of the
// parser that chat_parser.cpp builds on.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <initializer_list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "input/chat_ast.hpp"
#include "input/chat_functions.hpp"
#include "input/chat_lexer.hpp"
#include "kernels/check.hpp"

namespace llmpq::chat {

class ExpressionParser {
 public:
  ExpressionParser(std::vector<Token> tokens, const std::string& where)
      : tokens_(std::move(tokens)), where_(where) {}

 protected:
  using Kind = Expression::Kind;
  static constexpr int kDeepest = 200;  ///< brackets and blocks within each other

  // ---- tokens

  const Token& now() const { return tokens_[at_]; }
  Token take() { return tokens_[at_ < tokens_.size() - 1 ? at_++ : at_]; }
  bool is(TokenKind kind) const { return now().kind == kind; }
  bool is_sign(std::string_view sign) const { return is(TokenKind::kSign) && now().text == sign; }
  bool is_name(std::string_view name) const { return is(TokenKind::kName) && now().text == name; }
  bool take_sign(std::string_view sign) {
    if (!is_sign(sign)) return false;
    take();
    return true;
  }
  bool take_name(std::string_view name) {
    if (!is_name(name)) return false;
    take();
    return true;
  }

  [[noreturn]] void refuse(std::string_view sentence) const {
    fail(Exit::kModel, "{}: line {}: {}", where_, now().line, sentence);
  }
  std::string found() const {
    constexpr std::string_view kNames[] = {"text", "{%", "%}", "{{", "}}"};
    const auto kind = static_cast<size_t>(now().kind);
    if (is(TokenKind::kEnd)) return "the end of the template";
    return kind < std::size(kNames) ? std::string(kNames[kind]) : "`" + now().text + "`";
  }
  void want_sign(std::string_view sign) {
    if (!take_sign(sign)) refuse(fmt::format("want `{}`, found {}", sign, found()));
  }
  void want_name(std::string_view name) {
    if (!take_name(name)) refuse(fmt::format("want `{}`, found {}", name, found()));
  }
  void want(TokenKind kind, std::string_view what) {
    if (!is(kind)) refuse(fmt::format("want {}, found {}", what, found()));
    take();
  }
  std::string identifier() {
    if (!is(TokenKind::kName)) refuse(fmt::format("want a name, found {}", found()));
    return take().text;
  }

  /// Counts how deep the tree is, so that no template can overflow the stack.
  struct Depth {
    explicit Depth(ExpressionParser& parser) : parser_(parser) {
      if (++parser_.depth_ > kDeepest) parser_.refuse("nests too deep");
    }
    ~Depth() { --parser_.depth_; }
    ExpressionParser& parser_;
  };

  // ---- expressions

  std::unique_ptr<Expression> node(Kind kind) const {
    auto made = std::make_unique<Expression>();
    made->kind = kind;
    made->line = now().line;
    return made;
  }

  ExpressionPtr binary(std::string name, ExpressionPtr left, ExpressionPtr right) const {
    auto made = node(Kind::kBinary);
    made->name = std::move(name);
    made->parts.push_back(std::move(left));
    made->parts.push_back(std::move(right));
    return made;
  }

  ExpressionPtr wrapped(Kind kind, ExpressionPtr part) const {
    auto made = node(kind);
    made->parts.push_back(std::move(part));
    return made;
  }

  /// One expression, or several with commas: a list (a tuple, to Python).
  ExpressionPtr tuple() {
    ExpressionPtr first = expression();
    if (!is_sign(",")) return first;
    auto list = node(Kind::kList);
    list->parts.push_back(std::move(first));
    while (take_sign(",") && !at_end()) list->parts.push_back(expression());
    return list;
  }
  bool at_end() const {
    return is(TokenKind::kBlockEnd) || is(TokenKind::kPrintEnd) || is_sign(")") || is_sign("=");
  }

  ExpressionPtr expression() {
    const Depth depth(*this);
    ExpressionPtr value = or_expression();
    while (take_name("if")) {
      auto made = node(Kind::kConditional);
      made->parts.push_back(std::move(value));
      made->parts.push_back(or_expression());
      made->parts.push_back(take_name("else") ? expression() : nullptr);
      value = std::move(made);
    }
    return value;
  }
  ExpressionPtr without_condition() {
    const Depth depth(*this);
    ExpressionPtr first = or_expression();
    if (!is_sign(",")) return first;
    auto list = node(Kind::kList);
    list->parts.push_back(std::move(first));
    while (take_sign(",")) list->parts.push_back(or_expression());
    return list;
  }

  ExpressionPtr or_expression() {
    ExpressionPtr left = and_expression();
    while (take_name("or")) left = binary("or", std::move(left), and_expression());
    return left;
  }
  ExpressionPtr and_expression() {
    ExpressionPtr left = not_expression();
    while (take_name("and")) left = binary("and", std::move(left), not_expression());
    return left;
  }
  ExpressionPtr not_expression() {
    const Depth depth(*this);
    if (take_name("not")) return wrapped(Kind::kNot, not_expression());
    return comparison();
  }

  ExpressionPtr comparison() {
    constexpr std::array<std::string_view, 6> kSigns = {"==", "!=", "<", "<=", ">", ">="};
    ExpressionPtr left = sum();
    bool compared = false;
    while (true) {
      const bool sign =
          is(TokenKind::kSign) && std::ranges::find(kSigns, now().text) != kSigns.end();
      const bool negated = is_name("not") && tokens_[at_ + 1].text == "in";
      if (!sign && !negated && !is_name("in")) return left;
      if (compared) refuse("chained comparisons are not supported: write them with `and`");
      compared = true;
      const std::string name = sign ? take().text : "in";
      if (!sign) {
        if (negated) take();
        take();
      }
      left = binary(name, std::move(left), sum());
      if (negated) left = wrapped(Kind::kNot, std::move(left));
    }
  }

  template <typename Next>
  ExpressionPtr left_to_right(std::initializer_list<std::string_view> signs, Next next) {
    ExpressionPtr left = next();
    while (is(TokenKind::kSign) && std::ranges::find(signs, now().text) != signs.end()) {
      const std::string name = take().text;
      left = binary(name, std::move(left), next());
    }
    return left;
  }
  ExpressionPtr sum() {
    return left_to_right({"+", "-"}, [this] { return concatenation(); });
  }
  ExpressionPtr concatenation() {
    return left_to_right({"~"}, [this] { return product(); });
  }
  ExpressionPtr product() {
    return left_to_right({"*", "/", "//", "%"}, [this] { return power(); });
  }
  ExpressionPtr power() {
    return left_to_right({"**"}, [this] { return unary(true); });
  }

  ExpressionPtr unary(bool with_filters) {
    const Depth depth(*this);
    ExpressionPtr value;
    if (take_sign("-"))
      value = wrapped(Kind::kNegative, unary(false));
    else if (take_sign("+"))
      value = unary(false);
    else
      value = postfixed(primary());
    return with_filters ? filtered(std::move(value)) : std::move(value);
  }

  ExpressionPtr literal(Value value) {
    auto made = node(Kind::kLiteral);
    made->value = std::move(value);
    return made;
  }

  ExpressionPtr primary() {
    const Token token = take();
    switch (token.kind) {
      case TokenKind::kString: {
        std::string text = token.text;  // strings side by side are one
        while (is(TokenKind::kString)) text += take().text;
        return literal(text);
      }
      case TokenKind::kInteger:
        return literal(static_cast<int64_t>(std::stoll(token.text)));
      case TokenKind::kFloat:
        return literal(std::stod(token.text));
      case TokenKind::kName:
        return named(token.text);
      default:
        break;
    }
    if (token.kind == TokenKind::kSign && token.text == "(") return in_brackets();
    if (token.kind == TokenKind::kSign && token.text == "[") return list();
    if (token.kind == TokenKind::kSign && token.text == "{") return mapping();
    --at_;
    refuse(fmt::format("want an expression, found {}", found()));
  }

  ExpressionPtr named(const std::string& name) {
    if (name == "true" || name == "True") return literal(true);
    if (name == "false" || name == "False") return literal(false);
    if (name == "none" || name == "None") return literal(None{});
    auto made = node(Kind::kName);
    made->name = name;
    return made;
  }

  ExpressionPtr in_brackets() {
    if (take_sign(")")) return node(Kind::kList);
    ExpressionPtr value = tuple();
    want_sign(")");
    return value;
  }

  ExpressionPtr list() {
    auto made = node(Kind::kList);
    while (!is_sign("]")) {
      made->parts.push_back(expression());
      if (!take_sign(",")) break;
    }
    want_sign("]");
    return made;
  }

  ExpressionPtr mapping() {
    auto made = node(Kind::kMapping);
    while (!is_sign("}")) {
      made->parts.push_back(expression());
      want_sign(":");
      made->parts.push_back(expression());
      if (!take_sign(",")) break;
    }
    want_sign("}");
    return made;
  }

  std::vector<Argument> arguments() {
    std::vector<Argument> all;
    while (!is_sign(")")) {
      const bool by_name = is(TokenKind::kName) && tokens_[at_ + 1].kind == TokenKind::kSign &&
                           tokens_[at_ + 1].text == "=";
      std::string name;
      if (by_name) {
        name = take().text;
        take();
      }
      all.push_back({std::move(name), expression()});
      if (!take_sign(",")) break;
    }
    want_sign(")");
    return all;
  }

  ExpressionPtr postfixed(ExpressionPtr value) {
    while (true) {
      if (take_sign(".")) {
        auto made = node(Kind::kAttribute);
        made->name = is(TokenKind::kInteger) ? take().text : identifier();
        made->parts.push_back(std::move(value));
        value = std::move(made);
      } else if (take_sign("[")) {
        value = subscript(std::move(value));
      } else if (take_sign("(")) {
        auto made = node(Kind::kCall);
        made->parts.push_back(std::move(value));
        made->arguments = arguments();
        value = std::move(made);
      } else {
        return value;
      }
    }
  }

  ExpressionPtr subscript(ExpressionPtr value) {
    const auto part = [this]() -> ExpressionPtr {
      return is_sign(":") || is_sign("]") ? nullptr : expression();
    };
    auto made = node(Kind::kItem);
    made->parts.push_back(std::move(value));
    made->parts.push_back(part());
    if (is_sign(":")) {
      made->kind = Kind::kSlice;
      take();
      made->parts.push_back(part());
      made->parts.push_back(take_sign(":") ? part() : nullptr);
    } else if (!made->parts[1]) {
      refuse("want an index");
    }
    want_sign("]");
    return made;
  }

  ExpressionPtr filtered(ExpressionPtr value) {
    while (true) {
      if (take_sign("|")) {
        auto made = node(Kind::kFilter);
        made->name = identifier();
        if (const auto why = why_no_filter(made->name)) refuse(*why);
        made->parts.push_back(std::move(value));
        if (take_sign("(")) made->arguments = arguments();
        value = postfixed(std::move(made));
      } else if (take_name("is")) {
        const bool negated = take_name("not");
        auto made = node(Kind::kTest);
        made->name = identifier();
        if (const auto why = why_no_test(made->name)) refuse(*why);
        made->parts.push_back(std::move(value));
        if (take_sign("("))
          made->arguments = arguments();
        else if (begins_test_argument())
          made->arguments.push_back({"", postfixed(primary())});
        value = std::move(made);
        if (negated) value = wrapped(Kind::kNot, std::move(value));
      } else {
        return value;
      }
    }
  }

  /// `x is divisibleby 3`
  bool begins_test_argument() const {
    if (is(TokenKind::kString) || is(TokenKind::kInteger) || is(TokenKind::kFloat)) return true;
    if (is_sign("[") || is_sign("{")) return true;
    constexpr std::array<std::string_view, 7> kWords = {"else", "or", "and", "is",
                                                        "if",   "in", "not"};
    return is(TokenKind::kName) && std::ranges::find(kWords, now().text) == kWords.end();
  }

  std::vector<Token> tokens_;
  const std::string& where_;
  size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace llmpq::chat
