// Errors: one exception type with a sentence for the user, and the check that throws it. Used by
// every room; caught only in main(). Check what comes from outside; assert what cannot happen.
#pragma once

#include <fmt/core.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace llmpq {

/// The exit codes of the program, in one place. Scripts and tests rely on the numbers.
enum class Exit : int {
  kOk = 0,
  kInternal = 1,
  kUsage = 2,
  kNoPlan = 3,
  kModel = 4,
  kPrompts = 5,
  kOutput = 6,
  kGpu = 7,
  kMpi = 8,
  kRowsFailed = 10,
  kStoppedEarly = 75,  ///< everything is saved: requeue the job
};

/// A failure that ends the program: a sentence that names the thing, the value found, the value
/// wanted and the way out, and the exit code that goes with it.
class Error : public std::runtime_error {
 public:
  Error(Exit code, const std::string& sentence) : std::runtime_error(sentence), code_(code) {}
  Exit code() const { return code_; }
  /// The user has read the sentence already: main() only returns the code.
  bool told() const { return told_; }
  Error as_told() const {
    Error error = *this;
    error.told_ = true;
    return error;
  }

 private:
  Exit code_;
  bool told_ = false;
};

/// Throws Error(code, sentence); the sentence is a libfmt format string with its arguments.
template <typename... Args>
[[noreturn]] void fail(Exit code, fmt::format_string<Args...> sentence, Args&&... args) {
  throw Error(code, fmt::format(sentence, std::forward<Args>(args)...));
}

}  // namespace llmpq

/// CHECK(condition, exit code, format string, arguments...): always on; throws Error.
#define CHECK(condition, code, ...)                     \
  do {                                                  \
    if (!(condition)) ::llmpq::fail(code, __VA_ARGS__); \
  } while (false)
