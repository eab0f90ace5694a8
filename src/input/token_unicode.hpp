// What changed between the versions of Unicode that the libraries know. `tokenizers` splits with
// Oniguruma (Unicode 16) and normalizes with tables of Unicode 9; we have PCRE2 10.42 (Unicode 14)
// and utf8proc (Unicode 15). These tables make the difference up, so that ids agree on every code
// point. They were measured by asking `tokenizers` 0.23 about every code point. What is left:
// U+1171E moved from Mn to Mc, and is both here.
#pragma once

#include <string>
#include <string_view>

namespace llmpq {

/// The inside of a PCRE2 character class for a property as Oniguruma 6.9.10 sees it: `L`, `Lu`, ...
/// (a general category or its first letter), or one of a few scripts (`Han`, `Latin`, ...). Empty
/// if the property is not known here. Never contains a negation.
std::string property_class(std::string_view property);

/// The inside of a class for Oniguruma's \w, and for \w of Rust's regex crate.
std::string onig_word_class();
std::string rust_word_class();

/// The insides of classes for whitespace, Rust's char::is_numeric, and the punctuation that the
/// Punctuation pre-tokenizer splits on.
std::string_view whitespace_class();
std::string numeric_class();
/// Punctuation is a newer class with exceptions: a whole PCRE2 pattern for one character.
std::string punctuation_pattern();

/// Whether a character is White_Space (the same in all versions since 6.3).
bool is_whitespace(char32_t c);

/// Whether the normalizers of `tokenizers` do not know this character yet: it has no decomposition
/// there, combines with nothing, and is no accent.
bool unknown_to_normalizers(char32_t c);

}  // namespace llmpq
