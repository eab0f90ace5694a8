#include "layer/reading_order.hpp"

namespace llmpq {
namespace {

std::span<const std::byte> bytes_of(const Matrix& matrix) {
  return {matrix.packed.data(), static_cast<size_t>(matrix.packed.bytes())};
}

/// A chain of matrices, each of which is told the one after it.
class Chain {
 public:
  void add(Matrix& matrix) {
    if (last_ != nullptr) last_->next = bytes_of(matrix);
    if (first_ == nullptr) first_ = &matrix;
    last_ = &matrix;
  }
  /// What comes after the last one is not known.
  void break_off() { last_ = nullptr; }
  /// After the last comes the first.
  void close() {
    if (last_ != nullptr) last_->next = bytes_of(*first_);
  }

 private:
  Matrix *first_ = nullptr, *last_ = nullptr;
};

}  // namespace

void tell_reading_order(std::span<LayerWeights> layers, HeadWeights* head) {
  Chain chain;
  for (LayerWeights& layer : layers) {
    chain.add(layer.qkv.matrix);
    chain.add(layer.out.matrix);
    if (layer.experts.empty()) {
      chain.add(layer.up.matrix);
      chain.add(layer.down.matrix);
      continue;
    }
    chain.add(layer.router.matrix);
    chain.break_off();
    for (Expert& expert : layer.experts) expert.up.matrix.next = bytes_of(expert.down.matrix);
  }
  if (head != nullptr) chain.add(head->matrix.matrix);
  chain.close();
}

}  // namespace llmpq
