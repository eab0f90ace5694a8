#include "profile/sensitivity_file.hpp"

#include <fmt/core.h>

#include <array>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "base/file.hpp"
#include "base/hdf5.hpp"
#include "kernels/check.hpp"

namespace llmpq {
namespace {

constexpr auto kColumns = static_cast<int64_t>(kFormats.size());
constexpr int64_t kMostRuns = 1'000'000;

template <typename T>
void write(h5::Group& group, const std::string& name, std::vector<int64_t> inner,
           const std::vector<T>& values) {
  group.create_dataset(name, {.type = h5::value_type<T>(), .inner = std::move(inner)})
      .write(0, std::span<const T>(values));
}

void write_table(h5::Group& group, const std::string& name, const std::vector<ByFormat>& table) {
  std::vector<double> values;
  for (const ByFormat& row : table) values.insert(values.end(), row.begin(), row.end());
  write(group, name, {kColumns}, values);
}

void write_quality(h5::Group group, const Quality& quality) {
  write_table(group, "loss_increase", quality.loss_increase);
  write<double>(group, "relative_error", {}, {quality.relative_error});
  std::vector<int32_t> formats;
  std::vector<double> loss, error;
  for (const CalibrationRun& run : quality.runs) {
    for (const Format format : run.formats) formats.push_back(static_cast<int32_t>(format));
    loss.push_back(run.loss_increase);
    error.push_back(run.error);
  }
  h5::Group runs = group.create_group("runs");
  write(runs, "formats", {static_cast<int64_t>(quality.loss_increase.size())}, formats);
  write(runs, "loss_increase", {}, loss);
  write(runs, "error", {}, error);
}

/// A dataset of numbers with this shape; any number of rows where it says -1.
h5::Dataset find(const h5::Group& group, const std::string& name, std::vector<int64_t> shape) {
  CHECK(group.has(name) && group.is_dataset(name), Exit::kUsage,
        "{}: there is no dataset {}; llmpq sensitivity makes such files", group.name(), name);
  h5::Dataset data = group.dataset(name);
  if (!shape.empty() && shape[0] < 0 && !data.shape().empty()) shape[0] = data.rows();
  CHECK(data.shape() == shape && data.rows() <= kMostRuns, Exit::kUsage,
        "{}: its shape is not what the other datasets and the model ask for", data.name());
  return data;
}

std::vector<double> read_numbers(const h5::Dataset& data, bool may_be_negative) {
  const auto values = data.read<double>(0, data.rows());
  for (const double value : values)
    CHECK(std::isfinite(value) && (may_be_negative || value >= 0), Exit::kUsage,
          "{}: found {}, want {} numbers", data.name(), value,
          may_be_negative ? "finite" : "finite numbers from 0 on, no other");
  return values;
}

/// The format of each column; every format of ours is there once, others are refused.
std::vector<Format> read_columns(const h5::Group& file) {
  const h5::Dataset data = find(file, "formats", {kColumns});
  std::vector<Format> columns;
  std::array<bool, kFormats.size()> seen{};
  for (const std::string& text : data.read_text(0, kColumns)) {
    const auto format = parse_format(text);
    CHECK(format && !std::exchange(seen[static_cast<size_t>(*format)], true), Exit::kUsage,
          "{}: \"{}\" is no weight format, or stands there twice", data.name(), text);
    columns.push_back(*format);
  }
  return columns;
}

std::vector<ByFormat> read_table(const h5::Group& group, const std::string& name,
                                 const std::vector<Format>& columns, int64_t layers) {
  const auto values = read_numbers(find(group, name, {layers, kColumns}), false);
  std::vector<ByFormat> table(static_cast<size_t>(layers));
  for (size_t i = 0; i < values.size(); ++i)
    table[i / columns.size()][static_cast<size_t>(columns[i % columns.size()])] = values[i];
  return table;
}

Quality read_quality(const h5::Group& group, const std::vector<Format>& columns, int64_t layers) {
  Quality quality;
  quality.loss_increase = read_table(group, "loss_increase", columns, layers);
  quality.relative_error = read_numbers(find(group, "relative_error", {1}), false)[0];
  CHECK(group.has("runs") && !group.is_dataset("runs"), Exit::kUsage, "{}: there is no group runs",
        group.name());
  const h5::Group runs = group.group("runs");
  const h5::Dataset formats = find(runs, "formats", {-1, layers});
  const auto chosen = formats.read<int64_t>(0, formats.rows());
  const auto loss = read_numbers(find(runs, "loss_increase", {formats.rows()}), true);
  const auto error = read_numbers(find(runs, "error", {formats.rows()}), false);
  for (size_t i = 0; i < loss.size(); ++i)
    quality.runs.push_back({std::vector<Format>(static_cast<size_t>(layers)), loss[i], error[i]});
  for (size_t i = 0; i < chosen.size(); ++i) {
    CHECK(chosen[i] >= 0 && chosen[i] < kColumns, Exit::kUsage, "{}: found {}, want 0 to {}",
          formats.name(), chosen[i], kColumns - 1);
    quality.runs[i / static_cast<size_t>(layers)].formats[i % static_cast<size_t>(layers)] =
        columns[static_cast<size_t>(chosen[i])];
  }
  return quality;
}

std::string hash_text(uint64_t hash) { return fmt::format("{:016x}", hash); }

Indicator read_indicator(const h5::Group& file) {
  const std::string text = file.text_attribute("indicator");
  for (const Indicator indicator :
       {Indicator::kRelative, Indicator::kVariance, Indicator::kHessian, Indicator::kRandom})
    if (text == name(indicator)) return indicator;
  fail(Exit::kUsage, "{}: its indicator is \"{}\", want relative, variance, hessian or random",
       file.name(), text);
}

/// Files of before GPTQ was known do not tell.
Quantizer read_quantizer(const h5::Group& file) {
  if (!file.has_attribute("quantizer")) return Quantizer::kRtn;
  const std::string text = file.text_attribute("quantizer");
  if (const auto quantizer = parse_quantizer(text)) return *quantizer;
  fail(Exit::kUsage, "{}: its quantizer is \"{}\", want rtn or gptq", file.name(), text);
}

}  // namespace

void save_sensitivity(const std::filesystem::path& to, const Sensitivity& sensitivity) {
  const std::filesystem::path path = follow_links(to, Exit::kOutput);
  const Unfinished temporary(path.string() + ".part");
  {
    h5::File file = h5::File::create(temporary.path(), false, Exit::kOutput);
    file.set_attribute("indicator", std::string(name(sensitivity.indicator)));
    file.set_attribute("quantizer", std::string(name(sensitivity.quantizer)));
    file.set_attribute("model_hash", hash_text(sensitivity.model_hash));
    file.set_attribute("tokens", sensitivity.tokens);
    file.set_attribute("seed", static_cast<int64_t>(sensitivity.seed));
    std::vector<std::string> names;
    for (const FormatInfo& format : kFormats) names.emplace_back(format.name);
    file.create_dataset("formats", {.type = h5::text_type(), .inner = {}, .compress = false})
        .write_text(0, names);
    write_table(file, "omega", sensitivity.omega);
    if (sensitivity.quality) write_quality(file.create_group("quality"), *sensitivity.quality);
    file.sync();
  }
  rename_durably(temporary.path(), path, Exit::kOutput);
}

Sensitivity load_sensitivity(const std::filesystem::path& path, const Checkpoint& checkpoint) {
  const h5::File file = h5::File::open(path, h5::File::Mode::kRead, Exit::kUsage);
  for (const char* attribute : {"indicator", "model_hash", "tokens", "seed"})
    CHECK(file.has_attribute(attribute), Exit::kUsage,
          "{}: it has no attribute {}; llmpq sensitivity makes such files", path.string(),
          attribute);
  Sensitivity result;
  result.model_hash = checkpoint.content_hash();
  const std::string hash = file.text_attribute("model_hash");
  CHECK(hash == hash_text(result.model_hash), Exit::kModel,
        "{}: made for another model (content hash {}, this one has {}); run llmpq sensitivity "
        "again",
        path.string(), hash, hash_text(result.model_hash));
  result.indicator = read_indicator(file);
  result.quantizer = read_quantizer(file);
  result.tokens = file.integer_attribute("tokens");
  result.seed = static_cast<uint64_t>(file.integer_attribute("seed"));
  const int64_t layers = checkpoint.config().layers;
  const std::vector<Format> columns = read_columns(file);
  result.omega = read_table(file, "omega", columns, layers);
  if (file.has("quality")) result.quality = read_quality(file.group("quality"), columns, layers);
  return result;
}

}  // namespace llmpq
