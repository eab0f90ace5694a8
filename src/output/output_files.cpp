#include "output/output_files.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "base/file.hpp"
#include "base/hdf5.hpp"
#include "base/log.hpp"
#include "kernels/check.hpp"
#include "output/result.hpp"

namespace llmpq {
namespace {

namespace fs = std::filesystem;

fs::path beside(const fs::path& output, const char* ending) {
  return fs::path(output.string() + ".part" + ending);
}

std::string host_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "?";
}

/// What the owner wrote about itself, through a descriptor that is open already: closing another
/// one of this file would drop this process's locks.
std::string read_owner(int fd) {
  std::array<char, 512> text{};
  const ssize_t bytes = ::pread(fd, text.data(), text.size(), 0);
  const std::string owner(text.data(), static_cast<size_t>(std::max<ssize_t>(bytes, 0)));
  return owner.empty() ? "another process" : owner.substr(0, owner.find('\n'));
}

bool is_same_file(int fd, const fs::path& path) {
  struct stat open_one {
  }, named{};
  return ::fstat(fd, &open_one) == 0 && ::stat(path.c_str(), &named) == 0 &&
         open_one.st_ino == named.st_ino && open_one.st_dev == named.st_dev;
}

}  // namespace

OutputPaths::OutputPaths(const fs::path& path)
    : output(follow_links(path, Exit::kOutput)),
      part(beside(output, "")),
      fresh(beside(output, ".new")),
      recover(beside(output, ".recover")),
      result(beside(output, ".result")),
      lock(beside(output, ".lock")) {}

void check_place(const fs::path& path) {
  CHECK(!path.empty() && path.has_filename(), Exit::kOutput, "{}: want the name of a file to write",
        path.string());
  const fs::path file = follow_links(path, Exit::kOutput);
  const fs::path folder = folder_of(file);
  std::error_code ignored;
  // A file takes the place of what was there: that must not be a device.
  CHECK(!fs::exists(path, ignored) || fs::is_directory(path, ignored) ||
            fs::is_regular_file(path, ignored),
        Exit::kOutput, "{}: is a device, a pipe or the like, want a file", path.string());
  CHECK(is_there(folder, Exit::kOutput) && fs::is_directory(folder, ignored), Exit::kOutput,
        "{}: the folder {} does not exist; create it or choose another output", path.string(),
        folder.string());
  constexpr long kEndingBytes = sizeof(".part.recover") - 1;  // the longest of OutputPaths
  const long most_bytes = ::pathconf(folder.c_str(), _PC_NAME_MAX) - kEndingBytes;
  CHECK(most_bytes <= 0 || std::ssize(file.filename().string()) <= most_bytes, Exit::kOutput,
        "{}: the file's name is too long: {} bytes, at most {} leave room for what is beside it "
        "while it is made",
        path.string(), file.filename().string().size(), most_bytes);
  CHECK(::access(folder.c_str(), W_OK | X_OK) == 0, Exit::kOutput,
        "{}: the folder {} cannot be written: {}", path.string(), folder.string(),
        std::strerror(errno));
  CHECK(!fs::is_directory(file, ignored), Exit::kOutput, "{}: is a folder, want a file",
        path.string());
  CHECK(fs::canonical(folder, ignored) != "/dev", Exit::kOutput,
        "{}: devices are there; choose a file in another folder", path.string());
}

fs::path shard_output(const fs::path& output, const std::string& shard) {
  const size_t slash = shard.find('/');
  CHECK(slash != std::string::npos, Exit::kUsage, "--shard {}: want I/N", shard);
  return fs::path(fmt::format("{}.shard-{}-of-{}", output.string(), shard.substr(0, slash),
                              shard.substr(slash + 1)));
}

OutputState check_output(const fs::path& output, const OutputWishes& wishes) {
  const auto [overwrite, resume, retry_failed] = wishes;
  check_place(output);
  const OutputPaths paths(output);
  const bool has_output = is_there(paths.output, Exit::kOutput);
  const bool has_part = is_there(paths.part, Exit::kOutput);
  if (has_output && !overwrite) {
    CHECK(resume, Exit::kOutput,
          "{}: exists already and is kept; --overwrite makes it anew, --resume accepts it if it is "
          "complete",
          output.string());
    CHECK(is_result(output), Exit::kOutput,
          "{}: exists, but is no output of llmpq; choose another name or use --overwrite",
          output.string());
    if (!retry_failed) return OutputState::kComplete;
    if (has_part) return OutputState::kContinue;
    return ResultReader(output).count_failed() > 0 ? OutputState::kRetry : OutputState::kComplete;
  }
  if (!has_part) return OutputState::kFresh;
  CHECK(overwrite || resume, Exit::kOutput,
        "{}: an earlier job left rows there; --resume goes on with them, --overwrite starts anew",
        paths.part.string());
  return resume ? OutputState::kContinue : OutputState::kFresh;
}

OutputLock::OutputLock(const fs::path& output, const std::string& job_id)
    : path_(OutputPaths(output).lock) {
  const std::string owner = fmt::format("host {} pid {} job {}\n", host_name(), ::getpid(),
                                        job_id.empty() ? "-" : job_id);
  while (!lock_once(owner)) {
  }
}

/// False if the file that was locked is no longer the one that others find: its owner removed it.
bool OutputLock::lock_once(const std::string& owner) {
  fd_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  CHECK(fd_ >= 0, Exit::kOutput, "{}: cannot be written: {}", path_.string(), std::strerror(errno));
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  if (::fcntl(fd_, F_SETLK, &lock) != 0) {
    if (errno == EACCES || errno == EAGAIN) {
      const std::string other = read_owner(fd_);
      ::close(fd_);
      fail(Exit::kOutput, "{}: in use by {}; wait for it or choose another output",
           fs::path(path_).replace_extension("").string(), other);
    }
    log_warning(
        "{}: this file system has no locks ({}): nothing keeps a second job from the same "
        "output",
        path_.string(), std::strerror(errno));
  } else if (!is_same_file(fd_, path_)) {
    ::close(fd_);
    return false;
  }
  if (::ftruncate(fd_, 0) != 0 ||
      ::pwrite(fd_, owner.data(), owner.size(), 0) != static_cast<ssize_t>(owner.size())) {
    log_warning("{}: cannot note who holds the lock: {}", path_.string(), std::strerror(errno));
  }
  return true;
}

OutputLock::~OutputLock() {
  ::unlink(path_.c_str());
  ::close(fd_);
}

std::optional<std::string> lock_owner(const fs::path& output) {
  const int fd = ::open(OutputPaths(output).lock.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return std::nullopt;
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  const bool held = ::fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
  const std::string owner = read_owner(fd);
  ::close(fd);
  return held ? std::optional(owner) : std::nullopt;
}

void remove_published_part(const OutputPaths& paths) {
  std::error_code no_part, no_output;
  const auto part = fs::last_write_time(paths.part, no_part);
  const auto output = fs::last_write_time(paths.output, no_output);
  if (!no_part && !no_output && output > part) remove_part_files(paths);
}

void remove_part_files(const OutputPaths& paths) {
  for (const fs::path* path : {&paths.part, &paths.fresh, &paths.recover, &paths.result}) {
    std::error_code ignored;
    fs::remove(*path, ignored);
  }
}

}  // namespace llmpq
