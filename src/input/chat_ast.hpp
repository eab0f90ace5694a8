// A chat template as a tree. Made by chat_parser.cpp, walked by chat_render.cpp.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "input/chat_value.hpp"

namespace llmpq::chat {

struct Expression;
using ExpressionPtr = std::unique_ptr<const Expression>;

/// An argument of a call, by place or by name.
struct Argument {
  std::string name;  ///< "" by place
  ExpressionPtr value;
};

struct Expression {
  enum class Kind : uint8_t {
    kLiteral,      ///< value
    kName,         ///< name
    kList,         ///< parts
    kMapping,      ///< parts: key, value, key, value ...
    kAttribute,    ///< parts[0].name
    kItem,         ///< parts[0][parts[1]]
    kSlice,        ///< parts[0][parts[1]:parts[2]:parts[3]], null where nothing stands
    kCall,         ///< parts[0](arguments)
    kFilter,       ///< parts[0] | name(arguments)
    kTest,         ///< parts[0] is name(arguments)
    kNot,          ///< not parts[0]
    kNegative,     ///< -parts[0]
    kBinary,       ///< parts[0] name parts[1]: and, or, in, ==, +, ~ ...
    kConditional,  ///< parts[0] if parts[1] else parts[2] (null: undefined)
  };
  Kind kind;
  int line;
  std::string name;
  Value value;
  std::vector<ExpressionPtr> parts;
  std::vector<Argument> arguments;
};

struct Statement;
using Body = std::vector<Statement>;

struct Statement {
  enum class Kind : uint8_t {
    kText,      ///< text
    kPrint,     ///< expression
    kIf,        ///< expression, body, otherwise
    kFor,       ///< names in expression if condition, body, otherwise
    kSet,       ///< names (or names[0].attribute) = expression; without one: the body's text
    kMacro,     ///< macro
    kBreak,     ///< out of the innermost loop
    kContinue,  ///< on with the innermost loop's next item
  };
  Kind kind;
  int line;
  std::string text;
  std::vector<std::string> names;
  std::string attribute;
  ExpressionPtr expression, condition;
  Body body, otherwise;
  std::shared_ptr<const Macro> macro;
};

struct Macro {
  std::string name;
  std::vector<std::string> parameters;
  std::vector<ExpressionPtr> defaults;  ///< of each parameter; null: none
  Body body;
};

/// Throws Error(kModel) for what is not supported, the sentence beginning with `where`.
Body parse(std::string_view source, const std::string& where);

}  // namespace llmpq::chat
