#include "commands/check_report.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/file.hpp"
#include "base/json.hpp"
#include "base/table.hpp"

namespace llmpq {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kShortUuid = 12;  ///< "GPU-1a2b3c4d"

std::string ranks_table(const std::vector<RankReport>& ranks) {
  Table table({"rank", "host", "node rank", "device", "UUID", "PCI", "total", "free", "usable",
               "CPUs", "threads", "kernels"});
  for (const RankReport& r : ranks) {
    const bool is_gpu = r.backend == BackendKind::kCuda;
    const std::string device =
        is_gpu ? fmt::format("{} ({} SMs)", r.device, r.sms) : shorten(r.device, 40);
    table.add({std::to_string(r.rank), r.host, std::to_string(r.node_rank),
               device.empty() ? "-" : device, is_gpu ? r.uuid.substr(0, kShortUuid) : "-",
               is_gpu ? r.pci : "-", r.total_bytes > 0 ? bytes_text(r.total_bytes) : "-",
               bytes_text(r.free_bytes), bytes_text(r.memory_bytes), r.cpus,
               std::to_string(r.threads), r.isa.empty() ? "-" : r.isa});
  }
  return table.text();
}

std::string transfer_text(const RankTransfer& t) {
  return fmt::format("{:.1f} ({:.1f})", t.gbps, t.latency_us);
}

/// A matrix where all pairs were measured, else a list.
std::string transfers_table(const CheckReport& report) {
  if (report.transfers.empty()) return "";
  const size_t ranks = report.ranks.size();
  const std::string title = "\nbetween ranks over MPI, host memory: GB/s one way (latency in us)\n";
  if (ranks > kMostRanksInPairs) {
    Table list({"from", "to", "GB/s (us)"});
    for (const RankTransfer& t : report.transfers)
      list.add({std::to_string(t.from), std::to_string(t.to), transfer_text(t)});
    return title + list.text();
  }
  std::vector<std::string> header{"rank"};
  for (size_t to = 0; to < ranks; ++to) header.push_back(std::to_string(to));
  std::vector<std::vector<std::string>> rows(ranks, std::vector<std::string>(ranks, "-"));
  for (const RankTransfer& t : report.transfers) {
    const auto from = static_cast<size_t>(t.from), to = static_cast<size_t>(t.to);
    rows[from][to] = rows[to][from] = transfer_text(t);
  }
  Table table(header);
  for (size_t from = 0; from < ranks; ++from) {
    rows[from].insert(rows[from].begin(), std::to_string(from));
    table.add(rows[from]);
  }
  return title + table.text();
}

std::string links_text(const std::vector<CheckedLink>& links) {
  std::string text;
  for (const CheckedLink& link : links)
    text += fmt::format("link {} -> {}: {}: {}\n", link.from, link.to, name(link.choice.kind),
                        link.choice.reason);
  return text.empty() ? "" : "\n" + text;
}

std::string copies_text(const CheckReport& report) {
  std::string text;
  for (size_t rank = 0; rank < report.copies.size(); ++rank)
    if (report.copies[rank])
      text += fmt::format("rank {}: GPU to host {:.1f} GB/s, host to GPU {:.1f} GB/s\n", rank,
                          report.copies[rank]->to_host_gbps, report.copies[rank]->to_device_gbps);
  return text.empty() ? "" : "\n" + text;
}

std::string rate_text(double rate) { return rate > 0 ? fmt::format("{:.0f}", rate) : "-"; }

std::string peaks_table(const std::vector<Peaks>& peaks) {
  if (peaks.empty()) return "";
  Table table({"rank", "memory GB/s", "f32 GFLOP/s", "int8 Gop/s", "16 bit GFLOP/s"});
  for (size_t rank = 0; rank < peaks.size(); ++rank)
    table.add({std::to_string(rank), fmt::format("{:.1f}", peaks[rank].read_gbps),
               rate_text(peaks[rank].f32_gflops), rate_text(peaks[rank].int8_gops),
               rate_text(peaks[rank].half_gflops)});
  return "\npeaks, all ranks at the same time (a GPU's memory: x += add; its 16 bit: a large "
         "product)\n" +
         table.text();
}

std::string findings_text(const CheckReport& report) {
  std::string text = "\n";
  for (const std::string& note : report.notes) text += note + "\n";
  for (const Finding& f : report.findings)
    text += f.code == Exit::kOk
                ? fmt::format("warning: {}\n", f.sentence)
                : fmt::format("error (exit code {}): {}\n", static_cast<int>(f.code), f.sentence);
  if (report.findings.empty()) text += "nothing stands against a job on these ranks\n";
  return text;
}

Json rank_json(const CheckReport& report, size_t i) {
  const RankReport& r = report.ranks[i];
  Json json{{"rank", r.rank},
            {"host", r.host},
            {"node_rank", r.node_rank},
            {"backend", r.device.empty() ? "none" : std::string(name(r.backend))},
            {"device", r.device},
            {"total_bytes", r.total_bytes},
            {"free_bytes", r.free_bytes},
            {"usable_bytes", r.memory_bytes},
            {"cpus", r.cpus},
            {"threads", r.threads}};
  if (!r.isa.empty()) json["isa"] = r.isa;
  if (r.backend == BackendKind::kCuda)
    json["gpu"] = {{"index", r.gpu},
                   {"uuid", r.uuid},
                   {"pci", r.pci},
                   {"compute_capability", r.compute_capability},
                   {"sms", r.sms}};
  if (i < report.copies.size() && report.copies[i])
    json["copies"] = {{"to_host_gbps", report.copies[i]->to_host_gbps},
                      {"to_device_gbps", report.copies[i]->to_device_gbps}};
  if (i < report.peaks.size())
    json["peaks"] = {{"read_gbps", report.peaks[i].read_gbps},
                     {"f32_gflops", report.peaks[i].f32_gflops},
                     {"int8_gops", report.peaks[i].int8_gops},
                     {"half_gflops", report.peaks[i].half_gflops}};
  return json;
}

}  // namespace

Exit CheckReport::code() const {
  for (const Finding& finding : findings)
    if (finding.code != Exit::kOk) return finding.code;
  return Exit::kOk;
}

std::string describe(const CheckReport& report) {
  std::string text = ranks_table(report.ranks) + links_text(report.links) +
                     transfers_table(report) + copies_text(report) + peaks_table(report.peaks);
  if (!report.model.empty()) text += "\nmodel: " + report.model + "\n";
  return text + findings_text(report);
}

std::string to_json(const CheckReport& report) {
  Json json{{"exit_code", static_cast<int>(report.code())},
            {"ranks", Json::array()},
            {"links", Json::array()},
            {"transfers", Json::array()},
            {"model", report.model.empty() ? Json(nullptr) : Json(report.model)},
            {"notes", report.notes},
            {"findings", Json::array()}};
  for (size_t i = 0; i < report.ranks.size(); ++i) json["ranks"].push_back(rank_json(report, i));
  for (const CheckedLink& link : report.links)
    json["links"].push_back({{"from", link.from},
                             {"to", link.to},
                             {"kind", std::string(name(link.choice.kind))},
                             {"reason", link.choice.reason}});
  for (const RankTransfer& t : report.transfers)
    json["transfers"].push_back(
        {{"from", t.from}, {"to", t.to}, {"gbps", t.gbps}, {"latency_us", t.latency_us}});
  for (const Finding& finding : report.findings)
    json["findings"].push_back({{"level", finding.code == Exit::kOk ? "warning" : "error"},
                                {"exit_code", static_cast<int>(finding.code)},
                                {"sentence", finding.sentence}});
  return dump_json(json);
}

}  // namespace llmpq
