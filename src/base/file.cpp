#include "base/file.hpp"

#include <array>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <cstring>

#include "base/descriptor.hpp"

namespace llmpq {
namespace {

namespace fs = std::filesystem;

void write_all(const Descriptor& file, std::string_view text, const fs::path& path, Exit code) {
  while (!text.empty()) {
    const ssize_t written = ::write(file.get(), text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    CHECK(written > 0, code, "{}: cannot write: {}", path.string(), std::strerror(errno));
    text.remove_prefix(static_cast<size_t>(written));
  }
}

void sync(const Descriptor& file, const fs::path& path, Exit code) {
  // EINVAL: this kind of file or file system has nothing to sync.
  CHECK(::fsync(file.get()) == 0 || errno == EINVAL, code, "{}: cannot sync: {}", path.string(),
        std::strerror(errno));
}

}  // namespace

fs::path folder_of(const fs::path& path) {
  return path.has_parent_path() ? path.parent_path() : fs::path(".");
}

bool is_there(const fs::path& path, Exit code) {
  std::error_code error;
  const bool there = fs::exists(path, error);
  CHECK(!error, code, "{}: {}", path.string(), error.message());
  return there;
}

std::string read_file(const fs::path& path, int64_t max_bytes, Exit code) {
  const Descriptor file(path, O_RDONLY, code, "open");
  const int64_t size = size_of(file, path, code);
  CHECK(size <= max_bytes, code, "{}: {} is too long, at most {} are read", path.string(),
        bytes_text(size), bytes_text(max_bytes));
  std::string text(static_cast<size_t>(size), '\0');
  size_t done = 0;
  while (done < text.size()) {
    const ssize_t got = ::read(file.get(), text.data() + done, text.size() - done);
    if (got < 0 && errno == EINTR) continue;
    CHECK(got >= 0, code, "{}: cannot read: {}", path.string(), std::strerror(errno));
    if (got == 0) break;
    done += static_cast<size_t>(got);
  }
  text.resize(done);
  return text;
}

fs::path follow_links(const fs::path& path, Exit code) {
  constexpr int kMostLinks = 40;  // as many as Linux follows
  fs::path file = path;
  std::error_code none;
  for (int links = 0; fs::is_symlink(file, none); ++links) {
    CHECK(links < kMostLinks, code, "{}: a symbolic link that leads in a circle", path.string());
    file = folder_of(file) / fs::read_symlink(file);
  }
  return file;
}

void write_file_atomically(const fs::path& to, std::string_view text, Exit code) {
  const fs::path path = follow_links(to, code);
  const Unfinished beside(path.string() + ".new");
  {
    const Descriptor file(beside.path(), O_WRONLY | O_CREAT | O_TRUNC, code, "write");
    write_all(file, text, beside.path(), code);
    sync(file, beside.path(), code);
  }
  rename_durably(beside.path(), path, code);
}

Unfinished::~Unfinished() {
  std::error_code ignored;
  fs::remove(path_, ignored);
}

void sync_file(const fs::path& path, Exit code) {
  sync(Descriptor(path, O_RDONLY, code, "open"), path, code);
}

void rename_durably(const fs::path& from, const fs::path& to, Exit code) {
  CHECK(::rename(from.c_str(), to.c_str()) == 0, code, "{}: cannot be renamed to {}: {}",
        from.string(), to.string(), std::strerror(errno));
  const fs::path folder = folder_of(to);
  sync(Descriptor(folder, O_RDONLY | O_DIRECTORY, code, "open"), folder, code);
}

void check_no_lfs_pointer(std::string_view text, const std::string& what, Exit code) {
  CHECK(!text.starts_with("version https://git-lfs"), code,
        "{}: a git-lfs pointer, not the file itself; fetch it with `git lfs pull`", what);
}

std::string bytes_text(int64_t bytes) {
  constexpr std::array kUnits = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  double value = static_cast<double>(bytes);
  size_t unit = 0;
  while (std::abs(value) >= 1024 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  const bool whole = unit == 0 || std::abs(value) >= 100;
  return whole ? fmt::format("{:.0f} {}", value, kUnits[unit])
               : fmt::format("{:.1f} {}", value, kUnits[unit]);
}

int64_t parse_bytes(const std::string& text, const std::string& what, Exit code) {
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  std::string unit = end;
  std::erase(unit, ' ');
  int power = unit.empty() || unit == "B" ? 0 : -1;
  constexpr std::string_view kPrefixes = "KMGT";
  const size_t prefix = unit.empty() ? std::string_view::npos : kPrefixes.find(unit[0]);
  const std::string rest = unit.empty() ? "" : unit.substr(1);
  if (prefix != std::string_view::npos && (rest.empty() || rest == "iB" || rest == "B")) {
    power = static_cast<int>(prefix) + 1;
  }
  const double bytes = std::ldexp(value, 10 * std::max(power, 0));
  CHECK(end != text.c_str() && power >= 0 && bytes >= 0 && bytes < 9e18, code,
        "{}: want a size like 2GiB, 512MiB or a number of bytes, found '{}'", what, text);
  return static_cast<int64_t>(bytes);
}

}  // namespace llmpq
