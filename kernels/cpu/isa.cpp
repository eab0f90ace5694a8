#include "kernels/cpu/isa.hpp"

#include <algorithm>

#include "kernels/check.hpp"
#include "kernels/cpu/processor.hpp"

namespace llmpq {
namespace {

constexpr std::string_view kNames[] = {"plain", "avx2", "vnni", "amx"};

const CompiledIsa& compiled(Isa isa) {
  const auto all = compiled_isas();
  const auto found = std::find_if(all.begin(), all.end(),
                                  [&](const CompiledIsa& each) { return each.isa == isa; });
  CHECK(found != all.end(), Exit::kInternal, "nothing was compiled for {}", name(isa));
  return *found;
}

}  // namespace

std::string_view name(Isa isa) { return kNames[static_cast<size_t>(isa)]; }

std::vector<Isa> available_isas() {
  std::vector<Isa> isas;
  for (const CompiledIsa& each : compiled_isas())
    if (each.is_here()) isas.push_back(each.isa);
  return isas;
}

Isa choose_isa(const std::string& text) {
  const std::vector<Isa> isas = available_isas();
  if (text == "auto") return isas.back();
  const auto* const found = std::find(std::begin(kNames), std::end(kNames), text);
  CHECK(found != std::end(kNames), Exit::kUsage,
        "--isa: unknown instruction set '{}'; want auto, plain, avx2, vnni or amx", text);
  const Isa isa = static_cast<Isa>(found - std::begin(kNames));
  CHECK(std::find(isas.begin(), isas.end(), isa) != isas.end(), Exit::kUsage,
        "--isa {}: this CPU does not have it; the best it has is {}", text, name(isas.back()));
  return isa;
}

std::string left_out(Isa isa) {
  const std::string pairs = isa >= Isa::kVnni ? why_no_bf16_pairs() : "";
  const std::string tiles = isa == Isa::kAmx ? why_no_bf16_tiles() : "";
  return tiles + (tiles.empty() || pairs.empty() ? "" : "; ") + pairs;
}

const KernelTable& kernels(Isa isa) { return compiled(isa).kernels(); }

const KernelTable& best_kernels() {
  static const KernelTable& best = kernels(available_isas().back());
  return best;
}

const PeakLoops& peak_loops(Isa isa) { return compiled(isa).peak_loops(); }

}  // namespace llmpq
