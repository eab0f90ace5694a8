#include "commands/fingerprint.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <optional>

#include "base/file.hpp"
#include "base/hash.hpp"
#include "base/json.hpp"
#include "commands/calibration.hpp"
#include "kernels/check.hpp"

namespace llmpq {
namespace {

/// The options on which the tokens of a row depend, besides model and prompts.
constexpr const char* kSamplingOptions[] = {"max-tokens",
                                            "min-tokens",
                                            "temperature",
                                            "top-p",
                                            "top-k",
                                            "min-p",
                                            "repetition-penalty",
                                            "presence-penalty",
                                            "frequency-penalty",
                                            "seed",
                                            "stop",
                                            "stop-token-ids",
                                            "ignore-eos",
                                            "logprobs",
                                            "num-samples",
                                            "truncate-prompt",
                                            "chat",
                                            "activation-dtype"};

constexpr int64_t kLargestTokenizer = 1 << 30;  ///< bytes

std::string hex(uint64_t hash) { return fmt::format("{:016x}", hash); }

uint64_t tokenizer_hash(const Job& job) {
  return hash_of(read_file(job.model / "tokenizer.json", kLargestTokenizer, Exit::kModel));
}

nlohmann::json sampling_of(const Job& job) {
  const auto options =
      parse_json(job_to_json(job, Command::kGenerate), "the job's options", Exit::kInternal);
  nlohmann::json sampling;
  for (const char* option : kSamplingOptions) sampling[option] = options.at(option);
  return sampling;
}

std::string rows_text(RowRangeOfFile rows) { return fmt::format("{}:{}", rows.begin, rows.end); }

/// Whether `look` finds something else; not if it finds nothing, as where a file is gone.
template <typename Look>
bool is_other(const nlohmann::json& before, Look&& look) {
  try {
    return before != look();
  } catch (const Error&) {
    return false;
  }
}

}  // namespace

nlohmann::json fingerprint(const Job& job, const Input& input) {
  nlohmann::json print = sampling_of(job);
  print["model"] = hex(input.checkpoint->content_hash());
  print["tokenizer"] = input.tokenizer ? hex(tokenizer_hash(job)) : "none";
  print["prompts"] = hex(input.prompts->content_hash());
  if (input.chat) print["chat-template"] = hex(input.chat->content_hash());
  print["rows"] = rows_text(input.feed.rows);
  print["max-model-len"] = input.max_model_len;
  print["kv-cache-dtype"] = std::string(name(input.kv_type));
  print["quantizer"] = quantizer_print(job, input);
  return print;
}

std::vector<std::string> changes_since(const std::string& before, RowRangeOfFile rows,
                                       const Job& job) {
  if (before.empty()) return {};
  const auto print = parse_json(before, "an output's fingerprint", Exit::kOutput);
  std::vector<std::string> changes;
  if (is_other(print.value("model", ""), [&] { return hex(open_model(job)->content_hash()); }))
    changes.emplace_back("another model");
  if (is_other(print.value("tokenizer", ""), [&] { return hex(tokenizer_hash(job)); }))
    changes.emplace_back("another tokenizer");
  std::optional<int64_t> prompts;  // rows, where they can be read
  if (is_other(print.value("prompts", ""), [&] {
        const auto file = PromptsFile::open(job.prompts);
        prompts = file.rows();
        return hex(file.content_hash());
      }))
    changes.emplace_back("other prompts");
  if (prompts && is_other(rows_text(rows),
                          [&] { return rows_text(select_rows(*prompts, job.rows, job.shard)); }))
    changes.push_back(fmt::format("rows {} of them", rows_text(rows)));
  const auto sampling = sampling_of(job);
  for (const auto& [option, value] : sampling.items())
    if (print.contains(option) && print[option] != value)
      changes.push_back(
          fmt::format("{} {} (now {})", option, dump_json(print[option]), dump_json(value)));
  return changes;
}

}  // namespace llmpq
