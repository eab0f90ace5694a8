#include "plan/stage_parts.hpp"

#include <algorithm>

namespace llmpq {

StageParts stage_parts(const StagePlan& stage, Format head, const ModelConfig& config) {
  StageParts parts;
  parts.embedding = stage.layer_begin == 0;
  if (stage.layer_end == config.layers) parts.head = head;
  for (int64_t layer = stage.layer_begin; layer < stage.layer_end; ++layer) {
    const auto at = static_cast<size_t>(layer);
    const int64_t window = at < config.window.size() ? config.window[at] : 0;
    const Format format = stage.formats.at(static_cast<size_t>(layer - stage.layer_begin));
    const auto like = std::find_if(parts.layers.begin(), parts.layers.end(), [&](const auto& l) {
      return l.format == format && l.window == window;
    });
    if (like == parts.layers.end())
      parts.layers.push_back({format, window, 1});
    else
      ++like->count;
  }
  return parts;
}

}  // namespace llmpq
