// A piece of a text on its way to ids: what normalizers and pre-tokenizers cut and change.
#pragma once

#include <cstdint>
#include <string>

namespace llmpq {

/// A stretch of text that is not yet ids (token < 0), or an added token that was found in the text.
struct Piece {
  std::string text;  ///< empty for an added token
  int32_t token = -1;
  bool at_start = false;  ///< its first character stems from the first one of the input
};

}  // namespace llmpq
