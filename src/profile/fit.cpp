#include "profile/fit.hpp"

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include "profile/least_squares.hpp"

namespace llmpq {
namespace {

constexpr size_t kLeastVaried = 4;
constexpr int64_t kLeastMixed = 3;

/// What attention adds: the first unknowns, shared by all formats.
enum Attention : size_t {
  kPrefillKey,
  kDecodeKey,
  kPrefillContext,
  kDecodeContext,
  kMixed,
  kAttentions
};

/// A curve of a format: of steps with prefill rows, or of the others (where all have one, of all).
using CurveKey = std::pair<Format, bool>;

struct UnknownCurve {
  std::vector<double> rows;
  size_t first = 0;  ///< unknown: the seconds of rows[0]; the others follow
};

bool is_mixed(const StepShape& shape) { return shape.prefill_rows > 0 && shape.decode_rows > 0; }

CurveKey key_of(const Measurements& measured, const LayerPoint& point) {
  return {point.format, measured.prefill_apart && point.shape.prefill_rows > 0};
}

/// The curves' unknowns follow those of attention. Returns how many there are.
size_t find_unknowns(const Measurements& measured, std::map<CurveKey, UnknownCurve>& curves) {
  std::map<CurveKey, std::set<double>> rows;
  for (const LayerPoint& point : measured.layer)
    if (!point.held_out && !is_mixed(point.shape))
      rows[key_of(measured, point)].insert(static_cast<double>(point.shape.rows()));
  size_t count = kAttentions;
  for (const auto& [key, set] : rows) {
    curves[key] = {{set.begin(), set.end()}, count};
    count += set.size();
  }
  return count;
}

/// Curve::at(count) as a sum over the seconds of the curve's points.
std::vector<Equation::Term> terms_of(const std::vector<double>& rows, size_t first, double count) {
  if (count <= rows.front()) return {{first, 1.0}};
  if (rows.size() == 1) return {{first, count / rows.front()}};
  const auto above = std::upper_bound(rows.begin(), rows.end(), count);
  const size_t right = std::min<size_t>(static_cast<size_t>(above - rows.begin()), rows.size() - 1);
  const double share = (count - rows[right - 1]) / (rows[right] - rows[right - 1]);
  return {{first + right - 1, 1 - share}, {first + right, share}};
}

/// Divided by the seconds: an error of one percent counts the same in short and in long steps.
Equation equation_of(const UnknownCurve& curve, const LayerPoint& point) {
  const StepShape& shape = point.shape;
  Equation equation{terms_of(curve.rows, curve.first, static_cast<double>(shape.rows())), 1};
  const auto add = [&](Attention unknown, double coefficient) {
    if (coefficient > 0) equation.terms.push_back({unknown, coefficient});
  };
  const auto prefill_keys = static_cast<double>(shape.prefill_keys);
  const auto decode_keys = static_cast<double>(shape.decode_keys);
  add(kPrefillKey, prefill_keys);
  add(kDecodeKey, decode_keys);
  if (shape.prefill_rows > 0)
    add(kPrefillContext, prefill_keys / static_cast<double>(shape.prefill_rows));
  if (shape.decode_rows > 0)
    add(kDecodeContext, decode_keys / static_cast<double>(shape.decode_rows));
  if (is_mixed(shape)) add(kMixed, 1);
  for (auto& term : equation.terms) term.coefficient /= point.seconds;
  return equation;
}

/// Whether contexts were varied enough, rows being the same, to tell their seconds from the rows'.
bool varies_context(const std::vector<LayerPoint>& points, bool prefill) {
  std::map<std::pair<Format, int64_t>, std::set<int64_t>> keys;
  for (const LayerPoint& point : points)
    if (!point.held_out && !is_mixed(point.shape) && (point.shape.prefill_rows > 0) == prefill)
      keys[{point.format, point.shape.rows()}].insert(point.shape.prefill_keys +
                                                      point.shape.decode_keys);
  size_t varied = 0;
  for (const auto& [at, set] : keys) varied += set.size() - 1;
  return varied >= kLeastVaried;
}

/// The unknowns of attention that the points tell something of; the others stay 0.
std::set<size_t> known_attention(const std::vector<LayerPoint>& points) {
  std::set<size_t> known{kPrefillKey, kDecodeKey};
  if (varies_context(points, true)) known.insert(kPrefillContext);
  if (varies_context(points, false)) known.insert(kDecodeContext);
  const auto mixed_points = std::count_if(points.begin(), points.end(), [](const LayerPoint& p) {
    return !p.held_out && is_mixed(p.shape);
  });
  if (mixed_points >= kLeastMixed) known.insert(kMixed);
  return known;
}

/// The nearest seconds that do not fall: pools of neighbours that did get their mean.
std::vector<double> not_falling(const std::vector<double>& seconds) {
  struct Pool {
    double sum;
    size_t count;
    double mean() const { return sum / static_cast<double>(count); }
  };
  std::vector<Pool> pools;
  for (const double value : seconds) {
    pools.push_back({value, 1});
    while (pools.size() > 1 && pools[pools.size() - 2].mean() > pools.back().mean()) {
      pools[pools.size() - 2].sum += pools.back().sum;
      pools[pools.size() - 2].count += pools.back().count;
      pools.pop_back();
    }
  }
  std::vector<double> result;
  for (const Pool& pool : pools) result.insert(result.end(), pool.count, pool.mean());
  return result;
}

Curve curve_of(std::vector<CountPoint> points) {
  std::erase_if(points, [](const CountPoint& point) { return point.held_out; });
  std::sort(points.begin(), points.end(),
            [](const CountPoint& a, const CountPoint& b) { return a.count < b.count; });
  Curve curve;
  for (const CountPoint& point : points) {
    curve.rows.push_back(point.count);
    curve.seconds.push_back(point.seconds);
  }
  curve.seconds = not_falling(curve.seconds);
  return curve;
}

std::optional<double> mean_error(const LatencyModel& model, const Measurements& measured,
                                 bool held_out) {
  std::vector<double> errors;
  const auto add = [&](std::optional<double> predicted, double seconds) {
    if (predicted) errors.push_back(std::abs(*predicted / seconds - 1));
  };
  for (const LayerPoint& point : measured.layer)
    if (point.held_out == held_out)
      add(layer_seconds(model, point.format, point.shape), point.seconds);
  for (const HeadPoints& head : measured.head)
    for (const CountPoint& point : head.points)
      if (point.held_out == held_out)
        add(head_seconds(model, head.format, {.samples = static_cast<int64_t>(point.count)}),
            point.seconds);
  if (errors.empty()) return std::nullopt;
  double sum = 0;
  for (const double error : errors) sum += error;
  return sum / static_cast<double>(errors.size());
}

}  // namespace

LatencyModel fit_model(const Measurements& measured) {
  std::map<CurveKey, UnknownCurve> curves;
  const size_t unknowns = find_unknowns(measured, curves);
  const std::set<size_t> attention = known_attention(measured.layer);
  std::vector<Equation> equations;
  for (const LayerPoint& point : measured.layer)
    if (const auto curve = curves.find(key_of(measured, point));
        !point.held_out && curve != curves.end()) {
      equations.push_back(equation_of(curve->second, point));
      std::erase_if(equations.back().terms, [&](const auto& term) {
        return term.index < kAttentions && !attention.contains(term.index);
      });
    }
  const std::vector<double> solved = solve_least_squares(equations, unknowns);
  LatencyModel model;
  model.prefill_key_s = solved[kPrefillKey];
  model.decode_key_s = solved[kDecodeKey];
  model.prefill_context_s = solved[kPrefillContext];
  model.decode_context_s = solved[kDecodeContext];
  model.mixed_s = solved[kMixed];
  for (const auto& [key, curve] : curves) {
    const auto first = solved.begin() + static_cast<ptrdiff_t>(curve.first);
    auto& to = key.second ? model.prefill_layer : model.layer;
    to[key.first] = {curve.rows, not_falling({first, first + std::ssize(curve.rows)})};
  }
  model.embedding = curve_of(measured.embedding);
  for (const HeadPoints& head : measured.head) model.head[head.format] = curve_of(head.points);
  return model;
}

std::optional<double> held_out_error(const LatencyModel& model, const Measurements& measured) {
  return mean_error(model, measured, true);
}

std::optional<double> fitted_error(const LatencyModel& model, const Measurements& measured) {
  return mean_error(model, measured, false);
}

}  // namespace llmpq
