// Arithmetic and comparisons of chat templates, as Python has them.
#pragma once

#include <string>

#include "input/chat_value.hpp"

namespace llmpq::chat {

/// left NAME right for + - * / // % ** ~ < <= > >=. Error(kPrompts) where Python would raise one,
/// or for what is not supported (`%` of text).
Value apply_operator(const std::string& name, const Value& left, const Value& right, int line);

}  // namespace llmpq::chat
