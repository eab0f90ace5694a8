// A sequence as the scheduler sees it, from add() until its last token came back.
#pragma once

#include <cstdint>
#include <vector>

#include "schedule/scheduler.hpp"

namespace llmpq {

enum class Phase : uint8_t {
  kWaiting,     // no blocks; its turn comes by age
  kPrefilling,  // holds blocks; rows left to send, or its first token is under way
  kReady,       // prefilled, waits for room in a lane
  kDecoding,    // member of a lane
  kPreempted,   // gave its blocks away while its token was under way; waits when that is back
  kFinished,
};

struct Sequence {
  int64_t age = 0;                ///< the how-manieth add(): the oldest always gets on
  int64_t length = 0;             ///< tokens: prompt and output so far
  int64_t max_tokens = 0;         ///< of output
  int64_t expected_tokens = 0;    ///< of output
  Phase phase = Phase::kWaiting;  ///< see above
  int32_t lane = -1;              ///< while decoding
  int64_t sent = 0;               ///< tokens that went through the stages since its last start
  bool token_under_way = false;   ///< a step under way chooses its next token
  std::vector<int32_t> blocks;    ///< its block table
  int64_t promised = 0;           ///< blocks that it is expected to take beyond those
  int64_t settled = 0;            ///< up to this length neither blocks nor promise will change
  SequenceStart start;            ///< sent with its first rows
  std::vector<int32_t> tokens;    ///< [length]; empty where steps carry ranges only

  int64_t generated() const { return length - start.prompt_tokens; }
};

}  // namespace llmpq
