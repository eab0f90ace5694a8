// The rows of a step on their way to the device: five lists of 4-byte numbers, one after the other
// in one piece of memory, so that one copy carries them.
#include <algorithm>
#include <cstring>
#include <span>

#include "kernels/check.hpp"
#include "layer/forward.hpp"

namespace llmpq {
namespace {

static_assert(sizeof(RowRange) == 4 * sizeof(int32_t));

/// Copies lists into the staging memory and says where they will lie on the device.
class ListCarver {
 public:
  ListCarver(Buffer& staging, Buffer& device) : staging_(staging), device_(device) {}

  template <typename T>
  const T* put(std::span<const T> list) {
    const auto bytes = static_cast<int64_t>(list.size_bytes());
    CHECK(used_ + bytes <= device_.bytes(), Exit::kInternal,
          "a step's lists need more than the {} bytes that the stage has for them",
          device_.bytes());
    if (bytes > 0) std::memcpy(staging_.data() + used_, list.data(), list.size_bytes());
    const auto* place = reinterpret_cast<const T*>(device_.data() + used_);
    used_ += bytes;
    return place;
  }
  int64_t used() const { return used_; }

 private:
  Buffer& staging_;
  Buffer& device_;
  int64_t used_ = 0;
};

RangeList summary(const Rows& rows) {
  RangeList ranges{};
  ranges.count = static_cast<int64_t>(rows.ranges.size());
  ranges.rows = rows.count();
  for (const RowRange& range : rows.ranges) {
    ranges.most_rows = std::max<int64_t>(ranges.most_rows, range.rows);
    ranges.most_tokens =
        std::max<int64_t>(ranges.most_tokens, int64_t{range.position} + range.rows);
    ranges.singles += range.rows == 1 ? 1 : 0;
  }
  return ranges;
}

}  // namespace

RowsOnDevice::RowsOnDevice(const Sizes& sizes, int64_t kv_blocks, Backend& backend)
    : backend_(backend),
      staging_(backend.allocate_staging(rows_bytes(sizes) + kv_blocks * kTableEntryBytes)),
      device_(backend.allocate(rows_bytes(sizes) + kv_blocks * kTableEntryBytes)) {}

RowsView RowsOnDevice::upload(const Rows& rows, Context& context) {
  ListCarver carver(staging_, device_);
  RowsView view{};
  view.count = rows.count();
  view.samples = static_cast<int64_t>(rows.sampled.size());
  view.ranges = summary(rows);
  view.tokens = carver.put(std::span(rows.tokens));
  view.positions = carver.put(std::span(rows.positions));
  view.sampled = carver.put(std::span(rows.sampled));
  view.ranges.list = carver.put(std::span(rows.ranges));
  view.ranges.block_table = carver.put(std::span(rows.block_table));
  backend_.copy_to_device(context, device_.data(), staging_.data(), carver.used());
  return view;
}

}  // namespace llmpq
