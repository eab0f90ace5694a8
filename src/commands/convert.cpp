#include "commands/convert.hpp"

#include <algorithm>
#include <ctime>
#include <functional>
#include <optional>

#include "base/file.hpp"
#include "base/log.hpp"
#include "input/chat_template.hpp"
#include "input/convert.hpp"
#include "input/tokenizer.hpp"
#include "kernels/check.hpp"
#include "output/join.hpp"
#include "output/output_files.hpp"
#include "output/result.hpp"

namespace llmpq {
namespace {

namespace fs = std::filesystem;

/// Changes a prompt on its way: text to token ids or back.
using Change = std::function<void(PromptRecord&)>;

void to_token_ids(const Tokenizer& tokenizer, const ChatTemplate* chat, PromptRecord& record) {
  if (record.has_tokens) return;
  record.tokens = chat ? tokenizer.encode(chat->render(record.text, std::time(nullptr)), false)
                       : tokenizer.encode(record.text);
  record.text.clear();
  record.has_tokens = true;
}

void to_text(const Tokenizer& tokenizer, PromptRecord& record) {
  if (!record.has_tokens) return;
  record.text = tokenizer.decode(record.tokens);
  record.tokens.clear();
  record.has_tokens = false;
}

Change make_change(const Job& job) {
  const bool changes = job.to != ConvertTo::kAuto;
  CHECK(changes == !job.model.empty(), Exit::kUsage,
        "--to token-ids|text and --model DIR belong together: give both or none");
  CHECK(
      !job.chat || job.to == ConvertTo::kTokenIds, Exit::kUsage,
      "--chat renders messages, which wants --to token-ids and --model DIR; without them they are "
      "kept as they are, for generate --chat");
  if (!changes) return {};
  const Tokenizer tokenizer = Tokenizer::load(job.model / "tokenizer.json");
  if (job.to == ConvertTo::kText)
    return [tokenizer](PromptRecord& record) { to_text(tokenizer, record); };
  std::optional<ChatTemplate> chat;
  if (job.chat) chat = ChatTemplate::load(job.model);
  return [tokenizer, chat](PromptRecord& record) {
    to_token_ids(tokenizer, chat ? &*chat : nullptr, record);
  };
}

int64_t convert_prompts(const std::vector<fs::path>& inputs, const fs::path& to, FileKind kind,
                        const Change& change) {
  const auto sink = make_prompt_sink(to, kind);
  int64_t rows = 0;
  for (const fs::path& input : inputs) {
    const auto source = open_prompt_source(input);
    for (PromptRecord record; source->next(record); ++rows) {
      if (change) change(record);
      sink->add(record);
    }
  }
  sink->finish();
  return rows;
}

void convert_results(const Job& job, const fs::path& to, FileKind kind) {
  CHECK(job.to == ConvertTo::kAuto && job.model.empty(), Exit::kUsage,
        "--to and --model are for prompts, but the input is an output of llmpq: it has both text "
        "and token ids");
  const auto shards = in_row_order(job.input);
  if (kind == FileKind::kHdf5) {
    join_results(shards, to);
  } else {
    export_results(shards, to, kind);
  }
}

void check_target(const Job& job) {
  check_place(job.output);
  CHECK(job.overwrite || !is_there(job.output, Exit::kOutput), Exit::kOutput,
        "{}: exists already and is kept; --overwrite makes it anew", job.output.string());
}

}  // namespace

int run_convert(const Job& job) {
  set_log_level(job.log_level);
  const FileKind kind = kind_of_name(job.output);
  check_target(job);
  const auto results = std::ranges::count_if(job.input, is_result);
  CHECK(results == 0 || results == std::ssize(job.input), Exit::kUsage,
        "{} of {} input files are outputs of llmpq: give prompts only, or outputs only", results,
        job.input.size());
  const OutputPaths paths(job.output);
  const Unfinished unfinished(paths.fresh);
  if (results > 0) {
    convert_results(job, unfinished.path(), kind);
    log_info("{} output file(s) became {}", job.input.size(), job.output.string());
  } else {
    const int64_t rows = convert_prompts(job.input, unfinished.path(), kind, make_change(job));
    log_info("{} prompts became {}", rows, job.output.string());
  }
  rename_durably(unfinished.path(), paths.output, Exit::kOutput);
  return 0;
}

}  // namespace llmpq
