#include "input/stored_matrix.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <vector>

#include "kernels/check.hpp"

namespace llmpq {
namespace {

/// Where each of eight outputs lies in a word of AWQ.
constexpr std::array<int, 8> kAwqPlaces{0, 4, 1, 5, 2, 6, 3, 7};

std::string where(const TensorPlace& place) {
  return place.file->path().string() + ": " + place.tensor->name;
}

int64_t groups_in(const StoredMatrix& matrix, const StoredWeights& stored) {
  return stored.group < 0 ? 1 : (matrix.inputs + stored.group - 1) / stored.group;
}

uint32_t word_at(const TensorPlace& place, int64_t index) {
  uint32_t word;
  std::memcpy(&word, place.file->bytes(*place.tensor).data() + index * int64_t{sizeof(word)},
              sizeof(word));
  return word;
}

/// Integers `index` of a row of packed words that goes along the outputs.
uint32_t along_outputs(const TensorPlace& place, const StoredWeights& stored, int64_t row_words,
                       int64_t row, int64_t output) {
  const int64_t per_word = 32 / stored.bits, place_in_word = output % per_word;
  const int64_t shift = stored.method == StoredMethod::kAwq
                            ? kAwqPlaces[static_cast<size_t>(place_in_word)]
                            : place_in_word;
  return word_at(place, row * row_words + output / per_word) >> (stored.bits * shift) &
         ((1u << stored.bits) - 1);
}

uint32_t integer_at(const StoredMatrix& m, const StoredWeights& stored, int64_t input,
                    int64_t output) {
  const int64_t per_word = 32 / stored.bits;
  if (stored.method == StoredMethod::kAwq)
    return along_outputs(m.qweight, stored, m.outputs / per_word, input, output);
  return word_at(m.qweight, input / per_word * m.outputs + output) >>
             (stored.bits * (input % per_word)) &
         ((1u << stored.bits) - 1);
}

int zero_at(const StoredMatrix& m, const StoredWeights& stored, int64_t group, int64_t output) {
  const uint32_t zero =
      along_outputs(m.qzeros, stored, m.outputs / (32 / stored.bits), group, output);
  const uint32_t less = stored.method == StoredMethod::kGptq && stored.zeros_less_one ? 1 : 0;
  return static_cast<int>((zero + less) & ((1u << stored.bits) - 1));
}

int64_t group_at(const StoredMatrix& m, const StoredWeights& stored, int64_t input) {
  if (!m.g_idx.tensor) return stored.group < 0 ? 0 : input / stored.group;
  const int64_t group = static_cast<int32_t>(word_at(m.g_idx, input));
  CHECK(group >= 0 && group < groups_in(m, stored), Exit::kModel,
        "{}: input {} is in group {} of {}; the file is damaged", where(m.g_idx), input, group,
        groups_in(m, stored));
  return group;
}

/// Scales and zero points of a group of inputs, for rows [begin, begin + rows).
struct GroupOfRows {
  int64_t begin;
  std::vector<float> scales;
  std::vector<int> zeros;
  int64_t known = -1;  ///< the group whose these are

  GroupOfRows(int64_t first, int64_t rows)
      : begin(first), scales(static_cast<size_t>(rows)), zeros(scales.size()) {}
  int64_t rows() const { return std::ssize(scales); }

  void load(const StoredMatrix& m, const StoredWeights& stored, int64_t group) {
    if (group == known) return;
    read_elements(m.scales, group * m.outputs + begin, scales);
    for (int64_t row = 0; row < rows(); ++row)
      zeros[static_cast<size_t>(row)] = zero_at(m, stored, group, begin + row);
    known = group;
  }
  float number(int64_t row, uint32_t integer) const {
    const auto i = static_cast<size_t>(row);
    return static_cast<float>(static_cast<int>(integer) - zeros[i]) * scales[i];
  }
};

/// One input of all rows, number by number.
void read_input(const StoredMatrix& m, const StoredWeights& stored, const GroupOfRows& group,
                int64_t input, std::span<float> values) {
  for (int64_t row = 0; row < group.rows(); ++row)
    values[static_cast<size_t>(row * m.inputs + input)] =
        group.number(row, integer_at(m, stored, input, group.begin + row));
}

/// Whether a word of GPTQ begins with this input, and all its inputs are in one group.
bool is_word_of_group(const StoredMatrix& m, const StoredWeights& stored, int64_t input) {
  const int64_t per_word = 32 / stored.bits, group = group_at(m, stored, input);
  if (input % per_word != 0) return false;
  for (int64_t i = input + 1; i < input + per_word; ++i)
    if (group_at(m, stored, i) != group) return false;
  return true;
}

/// The same for the inputs that share words of GPTQ: a word of each row.
void read_gptq_words(const StoredMatrix& m, const StoredWeights& stored, const GroupOfRows& group,
                     int64_t input, std::span<float> values) {
  const int64_t per_word = 32 / stored.bits;
  const uint32_t mask = (1u << stored.bits) - 1;
  for (int64_t row = 0; row < group.rows(); ++row) {
    const uint32_t word = word_at(m.qweight, input / per_word * m.outputs + group.begin + row);
    float* const to = values.data() + row * m.inputs + input;
    for (int64_t i = 0; i < per_word; ++i)
      to[i] = group.number(row, word >> (stored.bits * i) & mask);
  }
}

/// One input of all rows, which are whole words of AWQ.
void read_awq_words(const StoredMatrix& m, const StoredWeights& stored, const GroupOfRows& group,
                    int64_t input, std::span<float> values) {
  const int64_t per_word = 32 / stored.bits;
  const uint32_t mask = (1u << stored.bits) - 1;
  for (int64_t row = 0; row < group.rows(); row += per_word) {
    const uint32_t word = word_at(m.qweight, (input * m.outputs + group.begin + row) / per_word);
    for (int64_t i = 0; i < per_word; ++i)
      values[static_cast<size_t>((row + i) * m.inputs + input)] =
          group.number(row + i, word >> (stored.bits * kAwqPlaces[static_cast<size_t>(i)]) & mask);
  }
}

void check_words(const TensorPlace& place, std::span<const int64_t> wanted) {
  const TensorEntry& tensor = *place.tensor;
  CHECK(tensor.type_name == "I32" && std::ranges::equal(tensor.shape, wanted), Exit::kModel,
        "{}: want I32 {}, file has {} {}; weights and config.json's quantization_config do not "
        "belong together",
        where(place), shape_text(wanted), tensor.type_name, shape_text(tensor.shape));
}

}  // namespace

void check_stored_matrix(const StoredMatrix& m, const StoredWeights& stored) {
  const int64_t per_word = 32 / stored.bits, groups = groups_in(m, stored);
  const bool awq = stored.method == StoredMethod::kAwq;
  CHECK(m.outputs % per_word == 0 && (awq || m.inputs % per_word == 0), Exit::kModel,
        "{}: {} inputs and {} outputs, want multiples of {} to pack {} bits", where(m.qweight),
        m.inputs, m.outputs, per_word, stored.bits);
  if (awq)
    check_words(m.qweight, std::array{m.inputs, m.outputs / per_word});
  else
    check_words(m.qweight, std::array{m.inputs / per_word, m.outputs});
  check_words(m.qzeros, std::array{groups, m.outputs / per_word});
  if (m.g_idx.tensor) check_words(m.g_idx, std::array{m.inputs});
  const TensorEntry& scales = *m.scales.tensor;
  CHECK(scales.type && std::ranges::equal(scales.shape, std::array{groups, m.outputs}),
        Exit::kModel, "{}: want bf16, f16 or f32 {}, file has {} {}", where(m.scales),
        shape_text(std::array{groups, m.outputs}), scales.type_name, shape_text(scales.shape));
}

void read_stored_rows(const StoredMatrix& m, const StoredWeights& stored, int64_t begin,
                      int64_t rows, std::span<float> values) {
  GroupOfRows group(begin, rows);
  const int64_t per_word = 32 / stored.bits;
  const bool whole_words = begin % per_word == 0 && rows % per_word == 0;
  for (int64_t input = 0; input < m.inputs;) {
    group.load(m, stored, group_at(m, stored, input));
    if (stored.method == StoredMethod::kGptq && is_word_of_group(m, stored, input)) {
      read_gptq_words(m, stored, group, input, values);
      input += per_word;
    } else if (stored.method == StoredMethod::kAwq && whole_words) {
      read_awq_words(m, stored, group, input++, values);
    } else {
      read_input(m, stored, group, input++, values);
    }
  }
  for (const TensorPlace& place : {m.qweight, m.qzeros}) place.file->check_read();
}

void read_stored_scales(const StoredMatrix& m, const StoredWeights& stored, int64_t begin,
                        int64_t rows, std::span<float> scales) {
  constexpr const char* kWayOut =
      "give --format bf16, f16, w8, w4 or w3 to dequantize and round them anew";
  const int64_t groups = groups_of(m.inputs);
  std::vector<float> theirs(static_cast<size_t>(rows));
  for (int64_t ours = 0; ours < groups; ++ours) {
    const int64_t first = ours * kGroup, group = group_at(m, stored, first);
    for (int64_t input = first; input < std::min(m.inputs, first + kGroup); ++input)
      CHECK(group_at(m, stored, input) == group, Exit::kModel,
            "{}: inputs {} and {} have different scales (desc_act), where the formats have one for "
            "{} inputs; {}",
            where(m.qweight), first, input, kGroup, kWayOut);
    read_elements(m.scales, group * m.outputs + begin, theirs);
    for (int64_t row = 0; row < rows; ++row) {
      const float scale = theirs[static_cast<size_t>(row)];
      CHECK(std::isfinite(scale) && scale >= 0, Exit::kModel,
            "{}: output {} has the scale {}, want finite ones that are not negative; {}",
            where(m.scales), begin + row, scale, kWayOut);
      const int zero = zero_at(m, stored, group, begin + row);
      CHECK(
          !stored.symmetric || zero == 1 << (stored.bits - 1), Exit::kModel,
          "{}: output {} has the zero point {}, but quantization_config says sym, which is {}; {}",
          where(m.qzeros), begin + row, zero, 1 << (stored.bits - 1), kWayOut);
      scales[static_cast<size_t>(row * groups + ours)] = scale;
    }
  }
  m.qzeros.file->check_read();
}

}  // namespace llmpq
