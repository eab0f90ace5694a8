// Rows that lie in a backend's memory, a few at a time where the host can read them: for observers.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/backend.hpp"

namespace llmpq {

class HostRows {
 public:
  explicit HostRows(Backend& backend, int64_t piece_bytes = 1 << 20)
      : backend_(backend), piece_bytes_(piece_bytes) {}

  /// use(pointer, rows) for `rows` of `width` f32 each, in their order, some at a time. Waits for
  /// what is queued on the context.
  template <typename Use>
  void for_each_piece(Context& context, const float* values, int64_t rows, int64_t width, Use use) {
    const int64_t row_bytes = width * int64_t{sizeof(float)};
    const int64_t wanted = std::max(piece_bytes_, row_bytes);
    if (piece_.bytes() < wanted) piece_ = backend_.allocate_staging(wanted);
    const int64_t most = piece_.bytes() / row_bytes;
    for (int64_t row = 0; row < rows; row += most) {
      const int64_t count = std::min(most, rows - row);
      backend_.copy_to_host(context, piece_.data(), values + row * width, count * row_bytes);
      context.synchronize();
      use(piece_.as<float>(), count);
    }
  }

 private:
  Backend& backend_;
  int64_t piece_bytes_;
  Buffer piece_;
};

}  // namespace llmpq
