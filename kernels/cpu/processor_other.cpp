// Any processor that no kernels were written for: plain C++, as its compiler makes it.
#include "kernels/cpu/processor.hpp"

namespace llmpq {

std::span<const CompiledIsa> compiled_isas() {
  static constexpr CompiledIsa kIsas[] = {
      {Isa::kPlain, [] { return true; }, kernels_plain, peak_loops_plain}};
  return kIsas;
}

std::string why_no_bf16_tiles() { return {}; }
std::string why_no_bf16_pairs() { return {}; }

}  // namespace llmpq
