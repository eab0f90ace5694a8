// Weights that a checkpoint holds as integers already: what its quantization_config says, and
// whether a format of ours holds the same numbers. Files of GPTQ (AutoGPTQ, GPTQModel) and AWQ
// (gemm).
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "kernels/formats.hpp"

namespace llmpq {

enum class StoredMethod : uint8_t { kGptq, kAwq };

/// A weight is (integer - zero point) * scale; integers are unsigned with `bits` bits, zero point
/// and scale belong to an output and a group of inputs.
struct StoredWeights {
  StoredMethod method = StoredMethod::kGptq;
  int bits = 4;                ///< 4 or 8
  int64_t group = kGroup;      ///< inputs that share a scale; -1: all
  bool symmetric = true;       ///< all zero points are 2^(bits - 1)
  bool by_activity = false;    ///< GPTQ's desc_act: g_idx says which group an input belongs to
  bool zeros_less_one = true;  ///< GPTQ's first file form: zero points are stored less 1
};

/// "GPTQ, 4 bits, groups of 64, with zero points"
std::string describe(const StoredWeights& stored);

/// The format of ours that holds such weights as they are, groups permitting; nothing if there is
/// none, and then why_none() says why.
std::optional<Format> format_of(const StoredWeights& stored);
/// "groups of 64 have no place in formats with a scale for 128 inputs"
std::string why_none(const StoredWeights& stored);

}  // namespace llmpq
