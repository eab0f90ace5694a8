#include "base/mapped_file.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <mutex>
#include <utility>

#include "base/descriptor.hpp"

namespace llmpq {
namespace {

namespace fs = std::filesystem;

/// Addresses [begin, end) of a mapped file, 0 if free. What a signal's handler may look at: nothing
/// but lock-free numbers.
struct Watched {
  std::atomic<uintptr_t> begin{0}, end{0};
  std::atomic<int64_t> lost_at{-1};  ///< first byte that could not be read; -1: none
};
static_assert(std::atomic<uintptr_t>::is_always_lock_free);

constexpr size_t kMostFiles = 4096;
std::array<Watched, kMostFiles> watched_files;
std::mutex watching;
uintptr_t page_bytes = 4096;
struct sigaction action_before {};

Watched* find_watched(uintptr_t address) {
  for (Watched& file : watched_files)
    if (address >= file.begin && address < file.end) return &file;
  return nullptr;
}

/// Puts zeros in the place of the rest of the file: what could not be read once will not be read
/// later, and one page after the other would be too many maps.
void on_lost_page(int signal, siginfo_t* info, void*) {
  const auto address = reinterpret_cast<uintptr_t>(info->si_addr);
  Watched* const file = find_watched(address);
  if (file == nullptr) {  // not a file of ours: what would have happened without this handler
    sigaction(signal, &action_before, nullptr);
    return;
  }
  const uintptr_t page = address / page_bytes * page_bytes;
  int64_t none = -1;
  file->lost_at.compare_exchange_strong(none, static_cast<int64_t>(page - file->begin));
  if (mmap(reinterpret_cast<void*>(page), file->end - page, PROT_READ,
           MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
    sigaction(signal, &action_before, nullptr);
}

void catch_lost_pages() {
  page_bytes = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  struct sigaction action {};
  action.sa_sigaction = on_lost_page;
  action.sa_flags = SA_SIGINFO;
  CHECK(sigaction(SIGBUS, &action, &action_before) == 0, Exit::kInternal,
        "SIGBUS cannot be caught: {}", std::strerror(errno));
}

size_t watch(const std::byte* data, size_t size, const fs::path& path, Exit code) {
  const std::lock_guard lock(watching);
  static const bool caught = (catch_lost_pages(), true);
  static_cast<void>(caught);
  for (size_t i = 0; i < kMostFiles; ++i) {
    Watched& file = watched_files[i];
    if (file.begin != 0) continue;
    file.lost_at = -1;
    file.begin = reinterpret_cast<uintptr_t>(data);
    file.end = reinterpret_cast<uintptr_t>(data) + size;
    return i;
  }
  fail(code, "{}: the {} files that are read at a time are all in use", path.string(), kMostFiles);
}

void unwatch(size_t index) {
  const std::lock_guard lock(watching);
  watched_files[index].end = 0;
  watched_files[index].begin = 0;
}

}  // namespace

MappedFile::MappedFile(const fs::path& path, Exit code) : path_(path), code_(code) {
  const Descriptor file(path, O_RDONLY, code, "open");
  size_ = static_cast<size_t>(size_of(file, path, code));
  if (size_ == 0) return;
  void* const mapped = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file.get(), 0);
  CHECK(mapped != MAP_FAILED, code, "{}: cannot be mapped: {}", path.string(),
        std::strerror(errno));
  data_ = static_cast<const std::byte*>(mapped);
  try {
    watched_ = watch(data_, size_, path, code);
  } catch (...) {
    ::munmap(mapped, size_);
    throw;
  }
}

MappedFile::~MappedFile() {
  if (data_ == nullptr) return;
  unwatch(watched_);
  ::munmap(const_cast<std::byte*>(data_), size_);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)),
      code_(other.code_),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      watched_(other.watched_) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(code_, other.code_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(watched_, other.watched_);
  return *this;
}

void MappedFile::check_read() const {
  if (data_ == nullptr) return;
  const int64_t lost_at = watched_files[watched_].lost_at;
  CHECK(
      lost_at < 0, code_,
      "{}: cannot be read from byte {} on, of {} that it had when it was opened: it was cut short "
      "meanwhile, or its disk or network failed; get it anew",
      path_.string(), lost_at, size_);
}

}  // namespace llmpq
