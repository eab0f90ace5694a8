#include "plan/format_counts.hpp"

#include <algorithm>
#include <cmath>

namespace llmpq {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// Lowers `high` or raises `low` to where use + y step <= room holds.
void narrow(double use, double step, double room, int rest, int& low, int& high) {
  const auto fits = [&](int y) { return use + step * y <= room; };
  if (step == 0) {
    if (!fits(0)) high = -1;
    return;
  }
  const double edge = std::clamp((room - use) / step, -1.0, rest + 1.0);
  int y = static_cast<int>(std::floor(edge));
  if (step > 0) {  // rounding may put the edge one off
    while (y <= rest && fits(y + 1)) ++y;
    while (y >= 0 && !fits(y)) --y;
    high = std::min(high, y);
  } else {
    while (y >= 0 && fits(y - 1)) --y;
    while (y <= rest && !fits(y)) ++y;
    low = std::max(low, y);
  }
}

}  // namespace

FormatCounts::FormatCounts(const BatchingCosts& costs, int kind, size_t formats)
    : costs_(costs), kind_(static_cast<size_t>(kind)), formats_(formats) {
  for (const auto& loads : costs.layer[kind_])
    for (const Load& load : loads) use_.push_back(load.use);
  price_.resize(use_.size());
  priced_.resize(use_.size());
  counts_.resize(use_.size());
}

void FormatCounts::set_prices(const Prices& prices, const Limits& limit_prices) {
  limit_prices_ = limit_prices;
  for (size_t c = 0; c < costs_.layer[kind_].size(); ++c)
    for (const uint8_t f : costs_.formats[kind_][c]) {
      const size_t index = c * formats_ + f;
      price_[index] = priced_[index] = prices.of(costs_.layer[kind_][c][f]);
      for (size_t k = 0; k < kLimits; ++k) priced_[index] += limit_prices[k] * use_[index][k];
    }
}

void FormatCounts::make_slots(const std::vector<int>& layers_of_class) {
  classes_.clear();
  for (size_t c = 0; c < layers_of_class.size(); ++c)
    if (layers_of_class[c] > 0) classes_.push_back(c);
  std::sort(classes_.begin(), classes_.end(),
            [&](size_t a, size_t b) { return layers_of_class[a] < layers_of_class[b]; });
  layers_.clear();
  begin_.clear();
  slots_.clear();
  for (const size_t c : classes_) {
    layers_.push_back(layers_of_class[c]);
    begin_.push_back(slots_.size());
    for (const uint8_t f : costs_.formats[kind_][c]) slots_.push_back({.index = c * formats_ + f});
    const auto first = slots_.begin() + static_cast<ptrdiff_t>(begin_.back());
    std::sort(first, slots_.end(),
              [&](const Slot& a, const Slot& b) { return priced_[a.index] < priced_[b.index]; });
    for (auto slot = slots_.end(); slot-- != first;) {
      slot->is_last = slot + 1 == slots_.end();
      slot->is_line = c == classes_.back() && slots_.end() - slot <= 2;
      slot->least_use = use_[slot->index];
      slot->least_price = priced_[slot->index];
      if (slot->is_last) continue;
      for (size_t k = 0; k < kLimits; ++k)
        slot->least_use[k] = std::min(slot->least_use[k], (slot + 1)->least_use[k]);
      slot->least_price = std::min(slot->least_price, (slot + 1)->least_price);
    }
  }
  later_.assign(classes_.size() + 1, {});
  for (size_t i = classes_.size(); i-- > 0;) {
    later_[i] = later_[i + 1];
    if (begin_[i] == slots_.size()) continue;
    const Slot& slot = slots_[begin_[i]];
    for (size_t k = 0; k < kLimits; ++k) later_[i].use[k] += layers_[i] * slot.least_use[k];
    later_[i].price += layers_[i] * slot.least_price;
  }
}

bool FormatCounts::may_fit(const Slot& slot, size_t class_at, int left,
                           const Partial& partial) const {
  const Partial& later = later_[class_at + 1];
  for (size_t k = 0; k < kLimits; ++k)
    if (partial.use[k] + left * slot.least_use[k] + later.use[k] > room_[k] * (1 + 1e-12))
      return false;
  return partial.price + left * slot.least_price + later.price - room_price_ < *cutoff_;
}

void FormatCounts::close_line(size_t slot, int left, const Partial& partial) {
  const size_t a = slots_[slot].index;
  const size_t b = slots_[slot].is_last ? a : slots_[slot + 1].index;
  CountLine line{counts_, a, b, left, 0, left};
  for (size_t k = 0; k < kLimits; ++k)
    narrow(partial.use[k] + left * use_[b][k], use_[a][k] - use_[b][k], room_[k], left, line.low,
           line.high);
  if (a == b) line.low = left;  // one way only
  if (line.low <= line.high) (*visit_)(line);
}

void FormatCounts::descend(size_t slot_at, size_t class_at, int left, const Partial& partial) {
  const Slot& slot = slots_[slot_at];
  if (!may_fit(slot, class_at, left, partial)) return;
  if (slot.is_line) return close_line(slot_at, left, partial);
  for (int count = left; count >= (slot.is_last ? left : 0); --count) {
    Partial more = partial;
    for (size_t k = 0; k < kLimits; ++k) more.use[k] += count * use_[slot.index][k];
    more.price += count * priced_[slot.index];
    counts_[slot.index] = count;
    if (slot.is_last)
      descend(slot_at + 1, class_at + 1, layers_[class_at + 1], more);
    else
      descend(slot_at + 1, class_at, left - count, more);
    counts_[slot.index] = 0;
  }
}

void FormatCounts::search(const std::vector<int>& layers_of_class, const Limits& room,
                          const double& cutoff, const Visit& visit) {
  make_slots(layers_of_class);
  for (const size_t c : classes_)
    if (costs_.formats[kind_][c].empty()) return;
  room_ = room;
  room_price_ = 0;
  for (size_t k = 0; k < kLimits; ++k)
    if (limit_prices_[k] > 0) room_price_ += limit_prices_[k] * room[k];
  if (!(room_price_ < kInfinity)) room_price_ = kInfinity;  // then nothing is cut off
  cutoff_ = &cutoff;
  visit_ = &visit;
  descend(0, 0, layers_[0], {});
}

double FormatCounts::cheapest(const std::vector<int>& layers_of_class, const Limits& room,
                              std::vector<int>& counts) {
  double best = kInfinity;
  search(layers_of_class, room, best, [&](const CountLine& line) {
    const bool high = price_[line.a] < price_[line.b];
    const int y = high ? line.high : line.low;
    double price = y * price_[line.a] + (line.rest - y) * price_[line.b];
    for (size_t i = 0; i < line.counts.size(); ++i) price += line.counts[i] * price_[i];
    if (price >= best) return;
    best = price;
    counts = line.counts;
    counts[line.a] += y;
    counts[line.b] += line.rest - y;
  });
  return best;
}

double FormatCounts::lines(const std::vector<int>& layers_of_class) const {
  double product = 1, largest = 1;
  for (size_t c = 0; c < layers_of_class.size(); ++c) {
    const auto formats = static_cast<double>(costs_.formats[kind_][c].size());
    double ways = 1;
    for (int i = 1; i < formats; ++i) ways *= (layers_of_class[c] + i) / static_cast<double>(i);
    product *= ways;
    largest = std::max(largest, formats > 1 ? static_cast<double>(layers_of_class[c]) : 1.0);
  }
  return product / largest;
}

}  // namespace llmpq
