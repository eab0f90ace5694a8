// Walks the tree of a chat template and prints it.
#pragma once

#include <ctime>
#include <string>

#include "input/chat_ast.hpp"

namespace llmpq::chat {

/// The template's text with these variables; `now` is what strftime_now tells. Error(kPrompts) if
/// the template raises an exception, asks for what values do not have, or does not come to an end
/// within a bounded number of steps.
std::string render(const Body& body, const Mapping& variables, std::time_t now);

}  // namespace llmpq::chat
