// Tokens of a chat template to its tree: the blocks.
#include <algorithm>
#include <initializer_list>
#include <iterator>

#include "input/chat_expressions.hpp"

namespace llmpq::chat {
namespace {

class Parser : private ExpressionParser {
 public:
  using ExpressionParser::ExpressionParser;

  Body run() { return statements({}); }

 private:
  /// Up to a block that begins with one of `ends`, whose {% and name are taken: end_.
  Body statements(std::initializer_list<std::string_view> ends) {
    const Depth depth(*this);
    Body body;
    while (true) {
      if (is(TokenKind::kEnd)) {
        if (ends.size() > 0) refuse(fmt::format("`{}` is missing", *(ends.end() - 1)));
        return body;
      }
      const int line = now().line;
      const Token token = take();
      if (token.kind == TokenKind::kText) {
        body.push_back(make(Statement::Kind::kText, line));
        body.back().text = token.text;
      } else if (token.kind == TokenKind::kPrintBegin) {
        body.push_back(make(Statement::Kind::kPrint, line));
        body.back().expression = tuple();
        want(TokenKind::kPrintEnd, "}}");
      } else {
        const std::string name = identifier();
        if (std::ranges::find(ends, name) != ends.end()) {
          end_ = name;
          return body;
        }
        block(name, line, body);
      }
    }
  }

  static Statement make(Statement::Kind kind, int line) {
    Statement statement;
    statement.kind = kind;
    statement.line = line;
    return statement;
  }

  void block_end() { want(TokenKind::kBlockEnd, "%}"); }

  void block(const std::string& name, int line, Body& body) {
    if (name == "if") return body.push_back(if_block(line));
    if (name == "for") return body.push_back(for_block(line));
    if (name == "set") return body.push_back(set_block(line));
    if (name == "macro") return body.push_back(macro_block(line));
    if (name == "break" || name == "continue") {
      if (loops_ == 0) refuse(fmt::format("`{}` outside a loop", name));
      const bool breaks = name == "break";
      body.push_back(make(breaks ? Statement::Kind::kBreak : Statement::Kind::kContinue, line));
      return block_end();
    }
    if (name == "generation") {  // marks what the assistant says: of no effect on the text
      block_end();
      Body inside = statements({"endgeneration"});
      block_end();
      std::ranges::move(inside, std::back_inserter(body));
      return;
    }
    refuse(
        fmt::format("the block `{}` is not supported; supported are if, for, set, macro, break, "
                    "continue and generation",
                    name));
  }

  Statement if_block(int line) {
    Statement statement = make(Statement::Kind::kIf, line);
    statement.expression = tuple();
    block_end();
    statement.body = statements({"elif", "else", "endif"});
    if (end_ == "elif") {
      statement.otherwise.push_back(if_block(now().line));
      return statement;  // the inner one took endif
    }
    if (end_ == "else") {
      block_end();
      statement.otherwise = statements({"endif"});
    }
    block_end();
    return statement;
  }

  std::vector<std::string> names() {
    const bool bracket = take_sign("(");
    std::vector<std::string> all = {identifier()};
    while (take_sign(",")) all.push_back(identifier());
    if (bracket) want_sign(")");
    return all;
  }

  Statement for_block(int line) {
    Statement statement = make(Statement::Kind::kFor, line);
    statement.names = names();
    want_name("in");
    statement.expression = without_condition();
    if (take_name("if")) statement.condition = expression();
    if (is_name("recursive")) refuse("recursive loops are not supported");
    block_end();
    ++loops_;
    statement.body = statements({"else", "endfor"});
    --loops_;
    if (end_ == "else") {
      block_end();
      statement.otherwise = statements({"endfor"});
    }
    block_end();
    return statement;
  }

  Statement set_block(int line) {
    Statement statement = make(Statement::Kind::kSet, line);
    statement.names = names();
    if (statement.names.size() == 1 && take_sign(".")) statement.attribute = identifier();
    if (take_sign("=")) {
      statement.expression = tuple();
    } else {
      if (is_sign("|")) refuse("a filter on a set block is not supported");
      block_end();
      statement.body = statements({"endset"});
    }
    block_end();
    return statement;
  }

  Statement macro_block(int line) {
    auto macro = std::make_shared<Macro>();
    macro->name = identifier();
    want_sign("(");
    while (!is_sign(")")) {
      macro->parameters.push_back(identifier());
      macro->defaults.push_back(take_sign("=") ? expression() : nullptr);
      if (!take_sign(",")) break;
    }
    want_sign(")");
    block_end();
    const int loops = std::exchange(loops_, 0);
    macro->body = statements({"endmacro"});
    loops_ = loops;
    block_end();
    Statement statement = make(Statement::Kind::kMacro, line);
    statement.macro = std::move(macro);
    return statement;
  }

  int loops_ = 0;
  std::string end_;  ///< the block that ended statements()
};

}  // namespace

Body parse(std::string_view source, const std::string& where) {
  return Parser(lex(source, where), where).run();
}

}  // namespace llmpq::chat
