// From the journal to the output file: rows in the order of the prompts, in bounded memory, in
// place by one atomic rename. The last thing that a job does.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "output/journal.hpp"

namespace llmpq {

struct PublishOptions {
  bool text_as_bytes = false;
  std::string times;  ///< JSON: when the job started, resumed and ended
  /// The ids of rows [begin, begin + count) of the prompts file (PromptsFile::read_ids).
  std::function<std::vector<std::string>(int64_t begin, int64_t count)> read_ids;
};

/// Closes the journal, writes OUTPUT.part.result from it, makes it durable, renames it to OUTPUT
/// and removes the journal. Memory: 8 bytes a row and a window of rows. Error(kOutput); Error
/// (kInternal) if rows are missing. A kill at any moment leaves the journal or the whole output.
void publish(const std::filesystem::path& output, std::unique_ptr<Journal> journal,
             const PublishOptions& options);

}  // namespace llmpq
