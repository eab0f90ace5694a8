#include "profile/profile_json.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/file.hpp"
#include "base/json.hpp"
#include "input/job.hpp"
#include "input/json_fields.hpp"
#include "kernels/check.hpp"

namespace llmpq {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr std::string_view kFileFormat = "llmpq-profile-1";
constexpr int64_t kLargestFile = 64 << 20;
constexpr int64_t kMostRanks = 1 << 20;
constexpr int64_t kMostSize = int64_t{1} << 40;  ///< of a matrix

Curve read_curve(const JsonFields& fields) {
  fields.allow({"rows", "seconds"});
  Curve curve{fields.numbers("rows"), fields.numbers("seconds")};
  CHECK(curve.rows.size() == curve.seconds.size(), Exit::kUsage,
        "{}seconds: want {} numbers, one for each of rows, found {}", fields.where(),
        curve.rows.size(), curve.seconds.size());
  for (size_t i = 0; i < curve.rows.size(); ++i)
    CHECK(curve.rows[i] > (i == 0 ? 0 : curve.rows[i - 1]), Exit::kUsage,
          "{}rows[{}]: want rows that ascend from above 0, found {} after {}", fields.where(), i,
          curve.rows[i], i == 0 ? 0 : curve.rows[i - 1]);
  return curve;
}

/// A curve for each weight format that the device has a kernel for.
std::map<Format, Curve> read_curves(const JsonFields& fields) {
  std::map<Format, Curve> curves;
  std::vector<std::string> known;
  for (const FormatInfo& row : kFormats) known.emplace_back(row.name);
  for (const std::string& key : fields.keys()) {
    const auto format = parse_format(key);
    CHECK(format, Exit::kUsage, "{}{}: no weight format has this name; want one of {}",
          fields.where(), key.substr(0, 60), fmt::join(known, ", "));
    if (fields.has(key)) curves[*format] = read_curve(fields.object(key));
  }
  CHECK(!curves.empty(), Exit::kUsage, "{}want a curve for at least one of {}", fields.where(),
        fmt::join(known, ", "));
  return curves;
}

BackendKind read_backend(const JsonFields& fields) {
  const std::string text = fields.text("backend");
  for (const BackendKind kind : {BackendKind::kCpu, BackendKind::kCuda})
    if (text == name(kind)) return kind;
  fields.refuse("backend", "cpu or cuda");
}

ProductChoice read_product(const JsonFields& fields) {
  fields.allow({"format", "n", "k", "most_rows", "kernel"});
  ProductChoice line;
  const auto format = parse_format(fields.text("format"));
  if (!format || is_16bit(*format)) fields.refuse("format", "a format of integers");
  line.format = *format;
  line.n = fields.integer("n", 1, kMostSize);
  line.k = fields.integer("k", 1, kMostSize);
  line.most_rows = fields.integer("most_rows", 1, kMostSize);
  const auto kernel = parse_product_kernel(fields.text("kernel"));
  if (!kernel) {
    std::vector<std::string_view> known;
    for (const ProductKernelInfo& row : kProductKernels) known.push_back(row.name);
    fields.refuse("kernel", fmt::format("one of {}", fmt::join(known, ", ")));
  }
  line.kernel = *kernel;
  return line;
}

DeviceProfile read_device(const JsonFields& fields) {
  fields.allow({"device", "backend", "source", "shape", "held_out_error", "layer", "prefill_key_s",
                "decode_key_s", "embedding", "head", "prefill_layer", "prefill_context_s",
                "decode_context_s", "mixed_s", "products"});
  DeviceProfile profile;
  profile.device = fields.text("device");
  profile.backend = read_backend(fields);
  profile.source = fields.text("source");
  profile.shape = fields.text_or("shape", "");
  if (fields.has("held_out_error")) profile.held_out_error = fields.not_negative("held_out_error");
  profile.model.layer = read_curves(fields.object("layer"));
  profile.model.prefill_key_s = fields.not_negative("prefill_key_s");
  profile.model.decode_key_s = fields.not_negative("decode_key_s");
  profile.model.embedding = read_curve(fields.object("embedding"));
  profile.model.head = read_curves(fields.object("head"));
  if (fields.has("prefill_layer"))
    profile.model.prefill_layer = read_curves(fields.object("prefill_layer"));
  const auto read_if_there = [&](const char* key, double& value) {
    if (fields.has(key)) value = fields.not_negative(key);
  };
  read_if_there("prefill_context_s", profile.model.prefill_context_s);
  read_if_there("decode_context_s", profile.model.decode_context_s);
  read_if_there("mixed_s", profile.model.mixed_s);
  if (fields.has("products"))
    for (const JsonFields& line : fields.objects("products"))
      profile.products.push_back(read_product(line));
  return profile;
}

RankLink read_link(const JsonFields& fields) {
  fields.allow({"from", "to", "latency_s", "s_per_byte"});
  RankLink link;
  link.from = static_cast<int>(fields.integer("from", 0, kMostRanks));
  link.to = static_cast<int>(fields.integer("to", 0, kMostRanks));
  link.link = {fields.not_negative("latency_s"), fields.not_negative("s_per_byte")};
  return link;
}

std::string curve_json(const Curve& curve) {
  return dump_json(ordered_json{{"rows", curve.rows}, {"seconds", curve.seconds}});
}

std::string curves_json(const std::map<Format, Curve>& curves) {
  std::vector<std::string> lines;
  for (const auto& [format, curve] : curves)
    lines.push_back(fmt::format("      \"{}\": {}", name(format), curve_json(curve)));
  return fmt::format("{{\n{}}}", fmt::join(lines, ",\n"));
}

std::string products_json(const std::vector<ProductChoice>& products) {
  std::vector<std::string> lines;
  for (const ProductChoice& line : products)
    lines.push_back("      " + dump_json(ordered_json{{"format", name(line.format)},
                                                      {"n", line.n},
                                                      {"k", line.k},
                                                      {"most_rows", line.most_rows},
                                                      {"kernel", name(line.kernel)}}));
  return fmt::format("[\n{}]", fmt::join(lines, ",\n"));
}

std::string device_json(const DeviceProfile& profile) {
  const LatencyModel& model = profile.model;
  std::vector<std::string> lines;
  const auto add = [&](std::string_view key, const std::string& value) {
    lines.push_back(fmt::format("    \"{}\": {}", key, value));
  };
  add("device", dump_json(json(profile.device)));
  add("backend", dump_json(json(name(profile.backend))));
  add("source", dump_json(json(profile.source)));
  add("shape", dump_json(json(profile.shape)));
  if (profile.held_out_error) add("held_out_error", dump_json(json(*profile.held_out_error)));
  add("layer", curves_json(model.layer));
  add("prefill_key_s", dump_json(json(model.prefill_key_s)));
  add("decode_key_s", dump_json(json(model.decode_key_s)));
  add("embedding", curve_json(model.embedding));
  add("head", curves_json(model.head));
  if (!model.prefill_layer.empty()) add("prefill_layer", curves_json(model.prefill_layer));
  const auto add_if_there = [&](std::string_view key, double value) {
    if (value > 0) add(key, dump_json(json(value)));
  };
  add_if_there("prefill_context_s", model.prefill_context_s);
  add_if_there("decode_context_s", model.decode_context_s);
  add_if_there("mixed_s", model.mixed_s);
  if (!profile.products.empty()) add("products", products_json(profile.products));
  return fmt::format("  {{\n{}}}", fmt::join(lines, ",\n"));
}

}  // namespace

std::string to_json(const ProfileFile& profile) {
  std::vector<std::string> devices, links;
  for (const DeviceProfile& device : profile.devices) devices.push_back(device_json(device));
  for (const RankLink& link : profile.links)
    links.push_back("  " + dump_json(ordered_json{{"from", link.from},
                                                  {"to", link.to},
                                                  {"latency_s", link.link.latency_s},
                                                  {"s_per_byte", link.link.s_per_byte}}));
  return fmt::format(
      "{{\n\"format\": \"{}\",\n\"note\": {},\n\"devices\": [\n{}],\n\"links\": [{}{}]\n}}\n",
      kFileFormat, dump_json(json(profile.note)), fmt::join(devices, ",\n"),
      links.empty() ? "" : "\n", fmt::join(links, ",\n"));
}

ProfileFile parse_profile(std::string_view text, const std::string& name) {
  const json file = parse_json_unique(text, name, Exit::kUsage);
  const JsonFields fields(file, name);
  fields.check_format(kFileFormat);
  fields.allow({"format", "note", "devices", "links"});
  ProfileFile profile;
  profile.note = fields.text_or("note", "");
  for (const JsonFields& device : fields.objects("devices"))
    profile.devices.push_back(read_device(device));
  CHECK(!profile.devices.empty(), Exit::kUsage, "{}devices: want at least one device",
        fields.where());
  for (const JsonFields& link : fields.objects("links")) profile.links.push_back(read_link(link));
  return profile;
}

ProfileFile load_profile(const std::filesystem::path& path) {
  return parse_profile(read_file(path, kLargestFile, Exit::kUsage), path.string());
}

}  // namespace llmpq
