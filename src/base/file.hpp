// Files: reading whole ones within bounds, writing them so that a crash leaves the
// old or the new one; and sizes as people write them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

#include "kernels/check.hpp"

namespace llmpq {

/// The folder that a file named `path` is in: "." for a name alone.
std::filesystem::path folder_of(const std::filesystem::path& path);

/// Whether there is something of that name. Error(code) where the system does not tell, with its
/// reason: a folder on the way that may not be searched, a name that is too long.
bool is_there(const std::filesystem::path& path, Exit code);

/// The whole file. Throws Error(code) that names the path if it cannot be read or is longer than
/// `max_bytes`.
std::string read_file(const std::filesystem::path& path, int64_t max_bytes, Exit code);

/// Where a file named `path` is or would be made: `path` itself, or what its symbolic links lead
/// to. Error(code) if they lead in a circle. A rename would put the file in the place of the link.
std::filesystem::path follow_links(const std::filesystem::path& path, Exit code);

/// Writes `text` beside `path`, makes it durable and renames it over `path`; links are followed.
void write_file_atomically(const std::filesystem::path& path, std::string_view text, Exit code);

/// A file that is being made: it is removed at the end unless it was renamed, that is, finished.
class Unfinished {
 public:
  explicit Unfinished(std::filesystem::path path) : path_(std::move(path)) {}
  ~Unfinished();
  Unfinished(const Unfinished&) = delete;
  Unfinished& operator=(const Unfinished&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

/// Makes the file's data survive a crash of the host.
void sync_file(const std::filesystem::path& path, Exit code);
/// Renames and makes the new name survive a crash. `from` and `to` are in one folder.
void rename_durably(const std::filesystem::path& from, const std::filesystem::path& to, Exit code);

/// Error(code) if `text` is what git-lfs leaves in the place of a file that it has not fetched.
void check_no_lfs_pointer(std::string_view text, const std::string& what, Exit code);

/// "1.5 GiB", "12 KiB", "37 B".
std::string bytes_text(int64_t bytes);
/// "2GiB", "512 MiB", "1.5G", "4096" (bytes); K, M, G, T are powers of 1024. Throws Error(code)
/// that names `what` and the text.
int64_t parse_bytes(const std::string& text, const std::string& what, Exit code);

}  // namespace llmpq
