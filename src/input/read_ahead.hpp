// Weights on their way from the disk while others are packed. Files are mapped, and a thread that
// meets a page which is not in memory waits for it, with little of the file behind it; so threads
// of their own read what comes next, in large pieces, several at a time, in the order of the file,
// which is the one that disks and systems are fast at. Made by the checkpoint, held by who loads.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/file_reader.hpp"

namespace llmpq {

/// Bytes [begin, end) of a file.
struct FilePart {
  std::filesystem::path file;
  int64_t begin, end;
};

class ReadAhead {
 public:
  /// Beyond the step that is in use and the one behind it; what a machine has to spare for files.
  static constexpr int64_t kBytesAhead = int64_t{512} << 20;

  /// The parts of each step; a step is what is loaded at a time (the embedding, a layer, the head).
  /// Begins to read at once what the system has not in memory, steps in their order, parts of a
  /// step as they lie in the files. Error(kModel) if a file cannot be opened.
  explicit ReadAhead(std::vector<std::vector<FilePart>> steps, int64_t bytes_ahead = kBytesAhead);
  /// Reads no further.
  ~ReadAhead();
  ReadAhead(const ReadAhead&) = delete;
  ReadAhead& operator=(const ReadAhead&) = delete;

  /// The next step is in use from now on; returns when it is in memory, since who uses it earlier
  /// meets pages that are under way and makes the system read small pieces in between.
  /// Error(kModel) if something could not be read.
  void begin_step();
  /// Bytes that are read or were there already.
  int64_t bytes_done() const;

 private:
  struct Piece {
    const FileReader* file;
    int64_t offset, bytes;
    int64_t step;
    int64_t before;  ///< bytes of all pieces before it
  };

  void add_pieces(const FilePart& part, int64_t step);
  bool may_read(const Piece& piece) const;
  void work();

  std::map<std::filesystem::path, std::unique_ptr<FileReader>> files_;
  std::vector<Piece> pieces_;
  std::vector<int64_t> step_begin_;  ///< bytes of all steps before it
  int64_t total_bytes_ = 0;
  std::vector<int64_t> left_;  ///< pieces of each step that are not read yet
  const int64_t bytes_ahead_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  int64_t step_ = -1;  ///< in use
  size_t next_ = 0;    ///< piece
  int64_t bytes_done_ = 0;
  bool stop_ = false;
  std::string failure_;
  std::vector<std::thread> threads_;
};

}  // namespace llmpq
