#include "plan/batch_choices.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <set>

namespace llmpq {
namespace {

constexpr std::array<int64_t, 6> kChunks{64, 128, 256, 512, 1024, 2048};
constexpr int64_t kMostBatch = 1024;   ///< beyond it a GPU is busy computing, not reading weights
constexpr double kFewSequences = 512;  ///< with so few, batches of even size matter

/// 1, 2, 3, 4, 6, 8, 12, ...: twice as many choices as powers of two, up to `most`.
std::vector<int64_t> half_steps(int64_t most) {
  std::vector<int64_t> values;
  for (int64_t power = 1; power <= most; power *= 2) {
    values.push_back(power);
    if (power > 1 && power + power / 2 <= most) values.push_back(power + power / 2);
  }
  return values;
}

std::vector<int64_t> chunk_sizes(const Work& work, const PlanWishes& wishes) {
  if (wishes.prefill_tokens) return {*wishes.prefill_tokens};
  std::vector<int64_t> sizes;
  for (int64_t chunk : kChunks)  // one that holds all prompts is the last of use
    if (sizes.empty() || static_cast<double>(sizes.back()) < work.prefill_rows)
      sizes.push_back(chunk);
  return sizes;
}

std::vector<int64_t> lane_counts(const PlanWishes& wishes, int ranks) {
  if (wishes.lanes) return {*wishes.lanes};
  std::set<int64_t> counts;
  for (int64_t lanes : half_steps(2 * int64_t{ranks})) counts.insert(lanes);
  counts.insert({ranks, 2 * int64_t{ranks}});
  return {counts.begin(), counts.end()};
}

std::vector<int64_t> batch_sizes(const Work& work, const PlanWishes& wishes, int ranks) {
  if (wishes.decode_batch) return {*wishes.decode_batch};
  const auto sequences = static_cast<int64_t>(work.sequences);
  const int64_t most = std::min(kMostBatch, sequences);
  std::set<int64_t> sizes;
  for (int64_t size : half_steps(most)) sizes.insert(size);
  if (work.sequences > kFewSequences) return {sizes.begin(), sizes.end()};
  for (int64_t lanes = 1; lanes <= 2 * int64_t{ranks}; ++lanes)  // all at once, in even batches
    sizes.insert((sequences + lanes - 1) / lanes);
  return {sizes.begin(), sizes.end()};
}

/// One cut of the work: what its coefficients depend on.
struct Cut {
  MicroBatches sizes;
  double chunk, batch, lanes;
  double chunks;  ///< that all prompts take: a chunk is full also when it ends a batch of prompts
};

Cut cut_of(const Work& work, Mix mix, int64_t chunk, int64_t batch, int64_t lanes) {
  Cut cut{
      {mix, static_cast<int32_t>(chunk), static_cast<int32_t>(batch), static_cast<int32_t>(lanes)},
      static_cast<double>(chunk),
      static_cast<double>(batch),
      static_cast<double>(lanes),
      0};
  cut.chunks = std::max(work.prefill_rows / cut.chunk, work.sequences / cut.batch);
  cut.chunks = std::max(cut.chunks, 1.0);
  return cut;
}

/// Waves: the lanes are filled by prefill alone, then decoded to their end. A wave's prefill takes
/// SP + (chunks - 1) TP, its decode SD + (lanes - 1) TD + (rounds - 1) max(lanes TD, SD).
Batching separated(const Work& work, const Cut& cut) {
  const double waves = std::ceil(work.sequences / (cut.batch * cut.lanes));
  Batching row;
  row.mix = Mix::kSeparated;
  row.in_flight = cut.lanes;
  row.prefill_sum = waves;
  row.prefill_max = std::max(0.0, cut.chunks - waves);
  if (work.decode_rows > 0) {
    row.decode_sum = waves;
    row.decode_max = waves * (cut.lanes - 1);
    row.rounds = waves * std::max(0.0, work.rounds() - 1);
  }
  return row;
}

/// Rounds of decode steps where prefill goes on meanwhile: while the lanes fill for the first time
/// they are not full, nor while they drain. Together that is about one filling's rounds more.
double interleaved_rounds(const Work& work, const Cut& cut) {
  const double fillings = work.sequences / (cut.batch * cut.lanes);
  return work.rounds() * (fillings + 1);
}

/// Both kinds of steps under way from the first chunk's fill to the last step's drain.
Batching interleaved(const Work& work, const Cut& cut) {
  Batching row;
  row.mix = Mix::kInterleaved;
  row.in_flight = cut.lanes;
  row.prefill_sum = 1;
  row.prefill_max = cut.chunks;
  row.decode_sum = work.decode_rows > 0 ? 1 : 0;
  row.rounds = interleaved_rounds(work, cut);
  return row;
}

/// Steps of the lanes: what the decode rows take with full lanes, and before that the chunks that
/// fill them; or all chunks, if those are more.
double mixed_steps(const Work& work, const Cut& cut) {
  const double places = std::min(cut.batch * cut.lanes, work.sequences);
  const double filling = places * work.prompt() / cut.chunk;
  const double full = std::max(work.decode_rows / cut.batch, work.rounds() * cut.lanes);
  return std::max(full + filling, cut.chunks);
}

Batching mixed(const Work& work, const Cut& cut) {
  Batching row = interleaved(work, cut);
  row.mix = Mix::kMixed;
  row.prefill_max = 0;
  row.rounds = mixed_steps(work, cut) / cut.lanes;
  return row;
}

/// Sequences that hold blocks: the lanes' places, and but for waves those whose prefill is under
/// way, about two rounds long, and a chunk that is waited for (scheduler_state.cpp allows a batch).
double holders(const Work& work, const Cut& cut) {
  const double places = cut.batch * cut.lanes;
  if (cut.sizes.mix == Mix::kSeparated) return std::min(places, work.sequences);
  const double leaving = places / std::max(1.0, work.rounds());
  const double ahead = std::ceil(2 * leaving + cut.chunk / work.prompt());
  return std::min(places + std::min(ahead, cut.batch), work.sequences);
}

/// The longest sequence alone must fit, or the job cannot run.
double kv_blocks(const Work& work, const Cut& cut, const PlanWishes& wishes) {
  if (wishes.kv_blocks) return *wishes.kv_blocks;
  return std::max(work.most_blocks, std::ceil(holders(work, cut) * work.blocks / work.sequences));
}

/// A little more than the larger one; 1.2 times if both are equal. The exponent fits simulated runs
/// of plans for five clusters, 1.04 to 1.28 times where load and way were within 15 % of each
/// other.
double soft_maximum(double a, double b) {
  constexpr double kExponent = 3.5;
  return std::pow(std::pow(a, kExponent) + std::pow(b, kExponent), 1 / kExponent);
}

/// Adds choices one by one; columns are made once for equal steps.
class Collector {
 public:
  Collector(const Work& work, const PlanWishes& wishes, int ranks)
      : work_(work), wishes_(wishes), ranks_(ranks) {
    choices_.prefill_tokens = chunk_sizes(work, wishes);
    usual_chunks_ = choices_.prefill_tokens.size();
    for (int64_t batch : batch_sizes(work, wishes, ranks)) {
      choices_.decode.push_back({batch, static_cast<double>(batch), 0, 0});
      const int column = static_cast<int>(choices_.decode.size()) - 1;
      for (int64_t lanes : lane_counts(wishes, ranks)) add_all(batch, lanes, column);
    }
  }
  BatchChoices take() { return std::move(choices_); }

 private:
  bool wanted(Mix mix) const { return !wishes_.mix || *wishes_.mix == mix; }

  void add_all(int64_t batch, int64_t lanes, int column) {
    const double places = static_cast<double>(batch) * static_cast<double>(lanes);
    // More places than sequences by a batch or more: fewer lanes do the same.
    const bool few = places >= work_.sequences + static_cast<double>(batch);
    if (few && !wishes_.lanes && lanes > 1) return;
    const bool overlaps = work_.sequences >= 2 * places && work_.decode_rows > 0;
    const bool asked = wishes_.mix && *wishes_.mix != Mix::kSeparated;
    for (size_t u = 0; u < usual_chunks_; ++u) {
      const int64_t chunk = choices_.prefill_tokens[u];
      // A chunk ends with a batch of prompts: one twice as large as these brings nothing.
      if (u > 0 && static_cast<double>(chunk) >= 2 * static_cast<double>(batch) * work_.prompt())
        break;
      if (wanted(Mix::kSeparated))
        add(cut_of(work_, Mix::kSeparated, chunk, batch, lanes), u, column);
      if (wanted(Mix::kInterleaved) && (overlaps || asked)) add_interleaved(chunk, batch, lanes, u);
    }
    if (wanted(Mix::kMixed) && (overlaps || asked)) add_mixed(batch, lanes);
  }

  void add_interleaved(int64_t chunk, int64_t batch, int64_t lanes, size_t prefill) {
    const Cut cut = cut_of(work_, Mix::kInterleaved, chunk, batch, lanes);
    // The scheduler has lanes + stages chunks under way at most: with smaller ones prefill would
    // not keep pace.
    const double rounds = interleaved_rounds(work_, cut), under_way = cut.lanes + ranks_;
    if (cut.chunks > rounds * under_way && prefill + 1 < usual_chunks_) return;
    const double steps = rounds * cut.lanes;
    const double rows = steps > 0 ? work_.decode_rows / steps : 0;
    add(cut, prefill, static_cast<int>(place_of({batch, rows, 0, 0}, choices_.decode)));
  }

  /// The chunk that keeps pace with the decode rows, so that steps are of even size.
  void add_mixed(int64_t batch, int64_t lanes) {
    const double pace = work_.prefill_rows * static_cast<double>(batch) / work_.decode_rows;
    constexpr double kSmallest = 16, kLargest = kChunks.back();
    const double even = std::ceil(std::clamp(pace, kSmallest, kLargest) / kSmallest) * kSmallest;
    const int64_t chunk = wishes_.prefill_tokens.value_or(static_cast<int32_t>(even));
    const Cut cut = cut_of(work_, Mix::kMixed, chunk, batch, lanes);
    const double steps = mixed_steps(work_, cut);
    const size_t prefill = place_of(chunk, choices_.prefill_tokens);
    const DecodeColumn column{batch, work_.decode_rows / steps, cut.chunk, cut.chunks / steps};
    add(cut, prefill, static_cast<int>(place_of(column, choices_.decode)));
  }

  /// The index of a value in a list, which gets it if it has it not.
  template <typename T>
  static size_t place_of(const T& value, std::vector<T>& list) {
    const auto at = std::find(list.begin(), list.end(), value);
    const auto index = static_cast<size_t>(at - list.begin());
    if (at == list.end()) list.push_back(value);
    return index;
  }

  void add(const Cut& cut, size_t prefill, int decode) {
    BatchChoice choice;
    choice.sizes = cut.sizes;
    choice.row = cut.sizes.mix == Mix::kSeparated     ? separated(work_, cut)
                 : cut.sizes.mix == Mix::kInterleaved ? interleaved(work_, cut)
                                                      : mixed(work_, cut);
    choice.row.prefill = static_cast<int>(prefill);
    choice.row.decode = decode;
    choice.kv_blocks = kv_blocks(work_, cut, wishes_);
    choices_.list.push_back(choice);
  }

  const Work& work_;
  const PlanWishes& wishes_;
  int ranks_;
  BatchChoices choices_;
  size_t usual_chunks_ = 0;  ///< columns that are not of mixed steps
};

}  // namespace

BatchChoices batch_choices(const Work& work, const PlanWishes& wishes, int ranks) {
  return Collector(work, wishes, ranks).take();
}

void set_waiting(BatchChoices& choices, int ranks,
                 const std::function<StepPair(int prefill, int decode)>& seconds) {
  for (BatchChoice& choice : choices.list) {
    Batching& row = choice.row;
    if (row.mix != Mix::kInterleaved || row.rounds == 0) continue;
    const auto [chunk_s, step_s] = seconds(row.prefill, row.decode);
    const double chunks = row.prefill_max / row.rounds;  // a round
    if (chunk_s > step_s)
      row.chunk_rounds = chunks < 1
                             ? row.prefill_max
                             : row.rounds * (row.in_flight + chunks) / (row.in_flight + chunks + 2);
    const double load = (row.prefill_max * chunk_s + row.rounds * row.in_flight * step_s) / ranks;
    const double way = row.chunk_rounds * chunk_s + (row.rounds - row.chunk_rounds) * step_s;
    const double wait = soft_maximum(load, way) / std::max(load, way);
    row.prefill_max *= wait;
    row.rounds *= wait;
    row.chunk_rounds *= wait;
  }
}

}  // namespace llmpq
