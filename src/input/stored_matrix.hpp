// A matrix that lies in a checkpoint as integers, zero points and scales: reading rows of it as the
// numbers that they stand for. Used by the checkpoint.
#pragma once

#include <cstdint>
#include <span>

#include "input/safetensors.hpp"
#include "input/stored_weights.hpp"

namespace llmpq {

/// Its tensors, inputs k, outputs n, p = 32 / bits integers to an int32:
///
///            GPTQ                                     AWQ
///   qweight  [k / p, n], the lowest bits the first    [k, n / 8], outputs 0 2 4 6 1 3 5 7 of each
///            input                                    eight from the lowest bits on
///   qzeros   [groups, n / p], less 1 in the first     [groups, n / 8], in the same order
///            form of such files
///   scales   [groups, n]                              [groups, n]
///   g_idx    [k], the group of each input; may be     none
///            missing
struct StoredMatrix {
  TensorPlace qweight, qzeros, scales;
  TensorPlace g_idx;  ///< tensor null if missing
  int64_t inputs = 0, outputs = 0;
};

/// Error(kModel) unless the tensors have the types and shapes of such a matrix.
void check_stored_matrix(const StoredMatrix& matrix, const StoredWeights& stored);

/// Rows [begin, begin + rows): values [rows, inputs], each (integer - zero point) * scale, exactly.
/// Error(kModel) for a g_idx outside of the groups.
void read_stored_rows(const StoredMatrix& matrix, const StoredWeights& stored, int64_t begin,
                      int64_t rows, std::span<float> values);

/// Their scales by groups of kGroup inputs, [rows, groups], if format_of(stored) holds these rows
/// as they are. Error(kModel) if not: inputs of one of our groups in several of theirs (desc_act),
/// zero points in a symmetric file, or a scale that is negative or not finite.
void read_stored_scales(const StoredMatrix& matrix, const StoredWeights& stored, int64_t begin,
                        int64_t rows, std::span<float> scales);

}  // namespace llmpq
