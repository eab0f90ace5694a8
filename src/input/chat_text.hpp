// What Python's str and Jinja's filters do with text, for chat_functions.cpp and chat_methods.cpp.
// `line` is the template's, for messages.
#pragma once

#include <string>

#include "input/chat_functions.hpp"

namespace llmpq::chat {

/// The text or whole number that a value must be.
const std::string& want_text(const Value& value, int line);
int64_t want_whole(const Value& value, int line);

std::string upper(const std::string& text);
std::string lower(const std::string& text);
std::string title(const std::string& text);
std::string capitalize(const std::string& text);
/// Python's str.strip: of spaces (Unicode's) if `what` is None, else of the characters given.
std::string strip(const std::string& text, const Value& what, bool left, bool right, int line);
/// Python's str.replace; `most` < 0: all.
std::string replace(const std::string& text, const std::string& from, const std::string& to,
                    int64_t most, int line);
/// Cut at most `most` times (< 0: everywhere), from the left or the right.
List split_at(const std::string& text, const std::string& separator, int64_t most, bool from_end);
/// Python's str.split and rsplit.
Value split(const std::string& text, const Arguments& arguments, bool from_end, int line);
std::string join(const List& list, const std::string& separator, int line);
/// Jinja's indent.
std::string indented(const std::string& text, const Arguments& arguments, int line);

}  // namespace llmpq::chat
