#include "pipeline/made_feed.hpp"

#include "layer/random.hpp"

namespace llmpq {

FeedBatch MadeFeed::read(int64_t max_rows) {
  FeedBatch batch;
  for (; max_rows > 0 && !at_end(); --max_rows) batch.requests.push_back(make(next_row_++));
  return batch;
}

Request MadeFeed::make(int64_t row) const {
  const RequestLength& length = setup_.lengths[static_cast<size_t>(row)];
  Request request;
  request.row = row;
  request.row_seed = row_seed(setup_.seed, row);
  request.sampling = setup_.sampling;
  request.sampling.max_tokens = length.output;
  request.sampling.ignore_eos = true;
  for (int32_t i = 0; i < length.prompt; ++i)
    request.prompt.push_back(static_cast<int32_t>(draw_bits(request.row_seed, 0, i) %
                                                  static_cast<uint64_t>(setup_.vocab)));
  return request;
}

}  // namespace llmpq
