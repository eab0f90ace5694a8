// Prompts from one kind of file to another, record by record: JSONL, CSV, plain text (one prompt a
// line) and our HDF5. Used by the command convert.
#pragma once

#include <filesystem>
#include <memory>

#include "input/prompt_record.hpp"

namespace llmpq {

enum class FileKind { kJsonl, kCsv, kText, kHdf5 };

/// By the name's ending: .jsonl .ndjson, .csv, .txt .text, .h5 .hdf5. Error(kUsage) names the path
/// and the endings.
FileKind kind_of_name(const std::filesystem::path& path);
/// The same, but a file that is HDF5 inside is HDF5 whatever its name is.
FileKind kind_of_file(const std::filesystem::path& path);

class RecordSource {
 public:
  virtual ~RecordSource() = default;
  /// The next prompt; false at the end. Error(kPrompts) names file and line.
  virtual bool next(PromptRecord& record) = 0;
};

/// Opens a file of prompts of any kind.
std::unique_ptr<RecordSource> open_prompt_source(const std::filesystem::path& path);

class RecordSink {
 public:
  virtual ~RecordSink() = default;
  virtual void add(const PromptRecord& record) = 0;
  /// After the last record: everything is written and durable.
  virtual void finish() = 0;
};

/// A new file of prompts. HDF5 holds text or token ids, as the first record does; a later record
/// of the other sort is Error(kPrompts). Text and CSV hold text only. Write errors: Error(kOutput).
std::unique_ptr<RecordSink> make_prompt_sink(const std::filesystem::path& path, FileKind kind);

/// A text on one line: line breaks become the two characters "\n".
std::string one_line(const std::string& text);

}  // namespace llmpq
