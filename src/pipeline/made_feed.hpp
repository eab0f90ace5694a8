// Requests without a prompts file: random tokens of given lengths. For measuring: the tokens do not
// matter to the time that they take. Used by llmpq bench.
#pragma once

#include <cstdint>
#include <vector>

#include "pipeline/feed.hpp"

namespace llmpq {

/// What a request looks like from outside, in tokens.
struct RequestLength {
  int32_t prompt = 0, output = 0;
};

struct MadeFeedSetup {
  std::vector<RequestLength> lengths;  ///< by row
  int64_t vocab = 0;
  uint64_t seed = 0;
  Sampling sampling;  ///< max_tokens is each row's, and ending tokens do not end it
};

class MadeFeed final : public RequestSource {
 public:
  explicit MadeFeed(MadeFeedSetup setup) : setup_(std::move(setup)) {}

  bool at_end() const override { return next_row_ == std::ssize(setup_.lengths); }
  /// The same tokens for the same seed, whatever was read at once.
  FeedBatch read(int64_t max_rows) override;

 private:
  Request make(int64_t row) const;

  MadeFeedSetup setup_;
  int64_t next_row_ = 0;
};

}  // namespace llmpq
