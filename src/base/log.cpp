#include "base/log.hpp"

#include <unistd.h>
#include <cstdio>

#include <boost/log/attributes/value_extraction.hpp>
#include <boost/log/core.hpp>
#include <boost/log/sinks/basic_sink_backend.hpp>
#include <boost/log/sinks/frontend_requirements.hpp>
#include <boost/log/sinks/sync_frontend.hpp>
#include <boost/log/sources/record_ostream.hpp>
#include <boost/log/sources/severity_logger.hpp>
#include <boost/smart_ptr/make_shared_object.hpp>

#include <array>
#include <atomic>
#include <ctime>
#include <mutex>

#include <fmt/chrono.h>

namespace llmpq {
namespace {

namespace logging = boost::log;

const char* name_of(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "debug";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarning:
      return "warning";
    case LogLevel::kError:
      return "error";
  }
  return "?";
}

std::string host_name() {
  std::array<char, 256> name{};
  return gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "?";
}

void write_stderr(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(STDERR_FILENO, text.data(), text.size());
    if (written <= 0) return;  // nobody listens: a log line is not worth the job
    text.remove_prefix(static_cast<size_t>(written));
  }
}

/// What all lines share, guarded by one mutex so that lines never mix.
struct Shared {
  std::mutex mutex;
  std::string origin = host_name();
  std::string status_line;
};

Shared& shared() {
  static auto* const state = new Shared();  // outlives every static destructor that logs
  return *state;
}

constexpr const char* kClearLine = "\r\033[K";

/// Writes each line with one call, so that the lines of several ranks do not mix either.
class StderrBackend
    : public logging::sinks::basic_sink_backend<logging::sinks::concurrent_feeding> {
 public:
  void consume(const logging::record_view& record) {
    const auto level = logging::extract<LogLevel>("Severity", record);
    const auto message = logging::extract<std::string>("Message", record);
    Shared& state = shared();
    const std::lock_guard lock(state.mutex);
    const char* const clear = state.status_line.empty() ? "" : kClearLine;
    write_stderr(fmt::format("{}{:%F %T} {:7} {} {}\n{}", clear, fmt::localtime(std::time(nullptr)),
                             name_of(level ? *level : LogLevel::kInfo), state.origin,
                             message ? *message : "", state.status_line));
  }
};

logging::sources::severity_logger_mt<LogLevel>& logger() {
  static auto* const made = [] {
    using Sink = logging::sinks::synchronous_sink<StderrBackend>;
    logging::core::get()->add_sink(boost::make_shared<Sink>());
    return new logging::sources::severity_logger_mt<LogLevel>(LogLevel::kInfo);
  }();
  return *made;
}

std::atomic<LogLevel>& lowest_level() {
  static std::atomic<LogLevel> level = LogLevel::kInfo;
  return level;
}

}  // namespace

void set_log_identity(int rank, const std::string& host) {
  const std::lock_guard lock(shared().mutex);
  shared().origin = fmt::format("rank {} {}", rank, host);
}

void set_log_level(LogLevel level) { lowest_level() = level; }
bool is_logged(LogLevel level) { return level >= lowest_level(); }

void show_status_line(const std::string& line) {
  Shared& state = shared();
  const std::lock_guard lock(state.mutex);
  if (line.empty() && state.status_line.empty()) return;
  state.status_line = line;
  write_stderr(kClearLine + line);
}

void log_line(LogLevel level, std::string_view text) {
  if (!is_logged(level)) return;
  auto& log = logger();
  if (auto record = log.open_record(logging::keywords::severity = level)) {
    logging::record_ostream stream(record);
    stream << text;
    stream.flush();
    log.push_record(std::move(record));
  }
}

void print_error(const std::string& sentence) {
  std::fprintf(stderr, "llmpq: error: %s\n", sentence.c_str());
  std::fflush(stderr);
}

}  // namespace llmpq
