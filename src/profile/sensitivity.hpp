// How much each layer is expected to suffer from each weight format: the sensitivity indicator
// omega[layer][format] of LLM-PQ (arXiv 2403.01136, the section on the indicator), from one pass
// over the unquantized model. 16-bit formats have 0: they are what the others are compared with.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "input/checkpoint.hpp"
#include "input/indicator.hpp"
#include "input/quantizer.hpp"
#include "profile/layer_statistics.hpp"
#include "profile/quality.hpp"
#include "profile/rounding.hpp"

namespace llmpq {

std::string_view name(Indicator indicator);

/// omega of a model, by layer. Only ratios mean something, until `quality` gives them a unit.
struct Sensitivity {
  Indicator indicator = Indicator::kRelative;
  std::vector<ByFormat> omega;
  Quantizer quantizer = Quantizer::kRtn;  ///< what `quality` is for: its runs were rounded so
  uint64_t model_hash = 0;                ///< Checkpoint::content_hash()
  int64_t tokens = 0;                     ///< of the calibration texts
  uint64_t seed = 0;                      ///< of the random indicator and of the calibration runs
  std::optional<Quality> quality;
};

/// What is known of one layer; the indicators are made from it.
struct LayerEvidence {
  const Checkpoint& checkpoint;
  int64_t layer;
  const LayerStatistics& statistics;
  int threads = 1;  ///< for reading and rounding weights; the result does not depend on it
};

/// The paper's indicator: the sum over the layer's matrices of D * S^2 * Var[X] / 4, the bound on
/// what rounding to nearest adds to the variance of an output (D: inputs of the matrix, S: its
/// step, X: its inputs, all tokens and channels together). The paper's S is one step for a matrix;
/// with a step for each group of 128, S^2 is their mean. q, k, v, gate and up count one by one.
/// An expert's matrices count by the share of the tokens that were routed to it, X are these.
ByFormat variance_omega(const LayerEvidence& evidence);

/// e, summed over the products: for each the sum over its weights of (w - rounded w)^2 * E[x^2] of
/// the channel that the weight meets, the expected squared error of its output: the diagonal of the
/// Hessian X X^T of the layer-wise squared error (GPTQ, arXiv 2210.17323). An expert's count by the
/// share of the tokens that were routed to it.
ByFormat hessian_omega(const LayerEvidence& evidence);

/// The noise that rounding the layer adds to the residual stream, in parts of the stream, because
/// the norm before whatever comes next divides by its size. With r = e / E|y|^2, the relative
/// error of a product, and h the stream after the layer:
///   (E|y_out|^2 (r_qkv + r_out) + E|y_down|^2 (r_up + r_down)) / E|h|^2
/// Ours: attention and activation are taken to pass relative errors on as they are. Each expert has
/// an E|y_down|^2 (r_up + r_down) of its own: r of the tokens that were routed to it, y_down times
/// the router's weight, E over all tokens.
ByFormat relative_omega(const LayerEvidence& evidence);

/// What needs no model: a draw from [0, 1) for each layer, times the squared step of each format.
std::vector<ByFormat> random_omega(int64_t layers, uint64_t seed);

}  // namespace llmpq
