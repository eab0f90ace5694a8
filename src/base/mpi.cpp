#include "base/mpi.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <future>
#include <limits>
#include <numeric>
#include <thread>

#include "base/log.hpp"
#include "base/mpi_check.hpp"

namespace llmpq {
namespace {

/// MPI counts are ints: longer data goes in pieces of this many bytes.
constexpr int64_t kPieceBytes = int64_t{1} << 30;

/// How often a collective call is looked at at once before its rank sleeps in between.
constexpr int kLooksAwake = 1000;
constexpr auto kSleep = std::chrono::microseconds(100);
/// Between two calls of while_waiting() during long work.
constexpr auto kWorkInterval = std::chrono::milliseconds(20);

/// Waits for a collective call without taking a core from whoever still computes.
void finish(MPI_Request request, const Mpi::Handle& handle) {
  for (int looks = 0;; ++looks) {
    int done = 0;
    CHECK_MPI(MPI_Test(&request, &done, MPI_STATUS_IGNORE));
    if (done != 0) return;
    if (handle.while_waiting) handle.while_waiting();
    if (looks < kLooksAwake)
      std::this_thread::yield();
    else
      std::this_thread::sleep_for(kSleep);
  }
}

void broadcast_piece(void* data, int bytes, int root, const Mpi::Handle& handle) {
  MPI_Request request = MPI_REQUEST_NULL;
  CHECK_MPI(MPI_Ibcast(data, bytes, MPI_CHAR, root, handle.world, &request));
  finish(request, handle);
}

/// Broadcasts a vector or a string: its size first.
template <typename Bytes>
void broadcast_sized(Bytes& bytes, int root, const Mpi::Handle& handle) {
  int64_t size = static_cast<int64_t>(bytes.size());
  broadcast_piece(&size, sizeof(size), root, handle);
  bytes.resize(static_cast<size_t>(size));
  char* const data = reinterpret_cast<char*>(bytes.data());
  for (int64_t done = 0; done < size; done += kPieceBytes)
    broadcast_piece(data + done, static_cast<int>(std::min(kPieceBytes, size - done)), root,
                    handle);
}

/// What `work` throws, if it does; other exceptions than Error are kInternal.
std::optional<Error> failure_of(const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& error) {
    return error;
  } catch (const std::exception& error) {
    return Error(Exit::kInternal, error.what());
  }
  return std::nullopt;
}

/// The offsets at which texts of these sizes start when joined; Error if MPI cannot count them.
std::vector<int> offsets_of(const std::vector<int>& sizes) {
  const int64_t total = std::accumulate(sizes.begin(), sizes.end(), int64_t{0});
  CHECK(total <= std::numeric_limits<int>::max(), Exit::kMpi,
        "gathering {} bytes on one rank: at most 2 GiB are possible", total);
  std::vector<int> offsets(sizes.size(), 0);
  std::partial_sum(sizes.begin(), sizes.end() - 1, offsets.begin() + 1);
  return offsets;
}

std::vector<std::string> cut(const std::string& joined, const std::vector<int>& sizes) {
  std::vector<std::string> texts;
  size_t begin = 0;
  for (const int size : sizes) {
    texts.push_back(joined.substr(begin, static_cast<size_t>(size)));
    begin += static_cast<size_t>(size);
  }
  return texts;
}

int int_size(const std::string& text) {
  CHECK(text.size() <= static_cast<size_t>(std::numeric_limits<int>::max()), Exit::kMpi,
        "a text of {} bytes is too long to be gathered", text.size());
  return static_cast<int>(text.size());
}

}  // namespace

void check_mpi(int result, const char* call) {
  if (result == MPI_SUCCESS) return;
  std::array<char, MPI_MAX_ERROR_STRING> text{};
  int length = 0;
  if (MPI_Error_string(result, text.data(), &length) != MPI_SUCCESS) length = 0;
  fail(Exit::kMpi, "{} failed: {}", std::string(call).substr(0, std::string(call).find('(')),
       std::string(text.data(), static_cast<size_t>(length)));
}

Mpi::Mpi() : handle_(std::make_unique<Handle>()) {
  int provided = 0;
  CHECK_MPI(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided));
  CHECK_MPI(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN));
  CHECK_MPI(MPI_Comm_set_errhandler(MPI_COMM_SELF, MPI_ERRORS_RETURN));
  CHECK(provided >= MPI_THREAD_FUNNELED, Exit::kMpi,
        "this MPI offers thread level {}, want MPI_THREAD_FUNNELED: use one built with threads",
        provided);
  CHECK_MPI(MPI_Comm_dup(MPI_COMM_WORLD, &handle_->world));
  CHECK_MPI(MPI_Comm_set_errhandler(handle_->world, MPI_ERRORS_RETURN));
  CHECK_MPI(MPI_Comm_rank(handle_->world, &rank_));
  CHECK_MPI(MPI_Comm_size(handle_->world, &size_));

  MPI_Comm node = MPI_COMM_NULL;
  CHECK_MPI(MPI_Comm_split_type(handle_->world, MPI_COMM_TYPE_SHARED, rank_, MPI_INFO_NULL, &node));
  CHECK_MPI(MPI_Comm_rank(node, &node_rank_));
  CHECK_MPI(MPI_Comm_size(node, &node_size_));
  CHECK_MPI(MPI_Comm_free(&node));

  std::array<char, MPI_MAX_PROCESSOR_NAME> name{};
  int length = 0;
  CHECK_MPI(MPI_Get_processor_name(name.data(), &length));
  host_.assign(name.data(), static_cast<size_t>(length));
  set_log_identity(rank_, host_);
}

Mpi::~Mpi() {
  MPI_Comm_free(&handle_->world);
  MPI_Finalize();
}

void Mpi::while_waiting(std::function<void()> call) { handle_->while_waiting = std::move(call); }

void Mpi::barrier() const {
  MPI_Request request = MPI_REQUEST_NULL;
  CHECK_MPI(MPI_Ibarrier(handle_->world, &request));
  finish(request, *handle_);
}

void Mpi::broadcast(std::vector<std::byte>& bytes, int root) const {
  broadcast_sized(bytes, root, *handle_);
}

std::string Mpi::broadcast(std::string text, int root) const {
  broadcast_sized(text, root, *handle_);
  return text;
}

std::vector<std::string> Mpi::gather(const std::string& text, int root) const {
  const int mine = int_size(text);
  std::vector<int> sizes(static_cast<size_t>(size_), 0);
  MPI_Request request = MPI_REQUEST_NULL;
  CHECK_MPI(
      MPI_Igather(&mine, 1, MPI_INT, sizes.data(), 1, MPI_INT, root, handle_->world, &request));
  finish(request, *handle_);
  const std::vector<int> offsets = offsets_of(sizes);
  std::string joined(static_cast<size_t>(offsets.back()) + static_cast<size_t>(sizes.back()), '\0');
  CHECK_MPI(MPI_Igatherv(text.data(), mine, MPI_CHAR, joined.data(), sizes.data(), offsets.data(),
                         MPI_CHAR, root, handle_->world, &request));
  finish(request, *handle_);
  return rank_ == root ? cut(joined, sizes) : std::vector<std::string>{};
}

std::vector<std::string> Mpi::all_gather(const std::string& text) const {
  const int mine = int_size(text);
  std::vector<int> sizes(static_cast<size_t>(size_), 0);
  MPI_Request request = MPI_REQUEST_NULL;
  CHECK_MPI(MPI_Iallgather(&mine, 1, MPI_INT, sizes.data(), 1, MPI_INT, handle_->world, &request));
  finish(request, *handle_);
  const std::vector<int> offsets = offsets_of(sizes);
  std::string joined(static_cast<size_t>(offsets.back()) + static_cast<size_t>(sizes.back()), '\0');
  CHECK_MPI(MPI_Iallgatherv(text.data(), mine, MPI_CHAR, joined.data(), sizes.data(),
                            offsets.data(), MPI_CHAR, handle_->world, &request));
  finish(request, *handle_);
  return cut(joined, sizes);
}

double Mpi::max(double value) const {
  double largest = 0;
  MPI_Request request = MPI_REQUEST_NULL;
  CHECK_MPI(MPI_Iallreduce(&value, &largest, 1, MPI_DOUBLE, MPI_MAX, handle_->world, &request));
  finish(request, *handle_);
  return largest;
}

void Mpi::agree(const std::optional<Error>& mine) const {
  const int candidate = mine ? rank_ : size_;
  int first = size_;
  MPI_Request request = MPI_REQUEST_NULL;
  CHECK_MPI(MPI_Iallreduce(&candidate, &first, 1, MPI_INT, MPI_MIN, handle_->world, &request));
  finish(request, *handle_);
  if (first == size_) return;
  int code = mine ? static_cast<int>(mine->code()) : 0;
  broadcast_piece(&code, sizeof(code), first, *handle_);
  const Error agreed(static_cast<Exit>(code),
                     broadcast(mine ? std::string(mine->what()) : "", first));
  if (rank_ == 0) print_error(agreed.what());
  barrier();  // a launcher kills the others when the first one exits: nobody does before it is told
  throw agreed.as_told();
}

void Mpi::agreed(const std::function<void()>& work) const { agree(failure_of(work)); }

void Mpi::agreed_on_long(const std::function<void()>& work) const {
  auto failure = std::async(std::launch::async, [&] { return failure_of(work); });
  while (failure.wait_for(kWorkInterval) != std::future_status::ready)
    if (handle_->while_waiting) handle_->while_waiting();
  agree(failure.get());
}

void Mpi::abort(Exit code) const {
  MPI_Abort(MPI_COMM_WORLD, static_cast<int>(code));
  std::abort();  // MPI_Abort does not come back, but does not promise it in its type
}

}  // namespace llmpq
