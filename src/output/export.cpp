#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/file.hpp"
#include "base/json.hpp"
#include "input/text_lines.hpp"
#include "kernels/check.hpp"
#include "output/join.hpp"
#include "output/result.hpp"

namespace llmpq {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr auto kCode = Exit::kOutput;
constexpr int64_t kWindow = 256;
constexpr const char* kCsvHeader =
    "id,row,sample,status,finish_reason,stop_reason,prompt_tokens,completion_tokens,error,text";

bool has_failed(const FinishedRow& row) { return row.finish_reason == FinishReason::kError; }

int64_t completion_tokens(const FinishedRow& row) {
  return has_failed(row) ? -1 : static_cast<int64_t>(row.token_ids.size());
}

Json to_json(const FinishedRow& row, const std::string& id, int32_t top) {
  Json line = {{"id", id},
               {"row", row.row},
               {"sample", row.sample},
               {"status", has_failed(row) ? "failed" : "ok"},
               {"text", row.text},
               {"finish_reason", name(row.finish_reason)},
               {"stop_reason", row.stop_reason},
               {"error", row.error},
               {"prompt_tokens", row.prompt_tokens},
               {"completion_tokens", completion_tokens(row)},
               {"plan_index", row.plan_index},
               {"token_ids", row.token_ids}};
  if (top > 0) line["logprobs"] = row.logprobs;
  if (top > 1) {
    line["top_logprobs"] = {{"token_ids", row.top_token_ids}, {"values", row.top_logprobs}};
    line["top_logprobs"]["per_token"] = top;
  }
  return line;
}

std::string to_csv(const FinishedRow& row, const std::string& id) {
  return fmt::format("{},{},{},{},{},{},{},{},{},{}", csv_field(id), row.row, row.sample,
                     has_failed(row) ? "failed" : "ok", name(row.finish_reason),
                     csv_field(row.stop_reason), row.prompt_tokens, completion_tokens(row),
                     csv_field(row.error), csv_field(row.text));
}

std::string to_line(const FinishedRow& row, const std::string& id, int32_t top, FileKind kind) {
  switch (kind) {
    case FileKind::kJsonl:
      check_json_holds(id, fmt::format("row {}: the id", row.row), kCode);
      return dump_json(to_json(row, id, top));
    case FileKind::kCsv:
      return to_csv(row, id);
    case FileKind::kText:
      return one_line(row.text);
    case FileKind::kHdf5:
      break;
  }
  fail(Exit::kInternal, "an output in HDF5 is joined, not exported");
}

}  // namespace

void export_results(const std::vector<fs::path>& results, const fs::path& to, FileKind kind) {
  std::ofstream file(to, std::ios::binary);
  const auto check = [&] {
    CHECK(file.good(), kCode, "{}: cannot be written: {}", to.string(), std::strerror(errno));
  };
  check();
  if (kind == FileKind::kCsv) file << kCsvHeader << '\n';
  for (const fs::path& path : results) {
    const ResultReader reader(path);
    for (int64_t begin = 0; begin < reader.rows(); begin += kWindow) {
      const int64_t count = std::min(kWindow, reader.rows() - begin);
      const auto rows = reader.read(begin, count);
      const auto ids = reader.read_ids(begin, count);
      for (size_t i = 0; i < rows.size(); ++i) {
        file << to_line(rows[i], ids[i], reader.head().logprobs, kind) << '\n';
      }
      check();
    }
  }
  file.close();
  check();
  sync_file(to, kCode);
}

}  // namespace llmpq
