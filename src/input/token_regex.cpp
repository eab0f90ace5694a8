#define PCRE2_CODE_UNIT_WIDTH 8
#include "input/token_regex.hpp"

#include <pcre2.h>

#include <algorithm>
#include <limits>

#include "input/utf8_repair.hpp"
#include "kernels/check.hpp"

namespace llmpq {
namespace {

constexpr size_t kLongestPattern = 20000;
constexpr size_t kJitStackBytes = 4 << 20;
constexpr uint32_t kHeapLimitKib = 256 << 10;
constexpr uint32_t kStepsAtLeast = 10'000'000;  // Oniguruma's own limit on retries
constexpr uint32_t kStepsPerByte = 64;

template <auto free_function>
struct Freed {
  template <typename T>
  void operator()(T* p) const {
    free_function(p);
  }
};

/// What one thread needs for matching, whatever the pattern.
struct Scratch {
  std::unique_ptr<pcre2_match_data, Freed<pcre2_match_data_free>> match{
      pcre2_match_data_create(1, nullptr)};
  std::unique_ptr<pcre2_match_context, Freed<pcre2_match_context_free>> context{
      pcre2_match_context_create(nullptr)};
  std::unique_ptr<pcre2_jit_stack, Freed<pcre2_jit_stack_free>> stack{
      pcre2_jit_stack_create(32 << 10, kJitStackBytes, nullptr)};

  Scratch() {
    CHECK(match && context, Exit::kInternal, "out of memory for regular expressions");
    if (stack) pcre2_jit_stack_assign(context.get(), nullptr, stack.get());
    pcre2_set_heap_limit(context.get(), kHeapLimitKib);
  }
};

Scratch& scratch_of_thread() {
  thread_local Scratch scratch;
  return scratch;
}

std::string pcre2_message(int code) {
  PCRE2_UCHAR text[256] = {};
  pcre2_get_error_message(code, text, sizeof text);
  return reinterpret_cast<const char*>(text);
}

}  // namespace

struct Regex::Code {
  std::unique_ptr<pcre2_code, Freed<pcre2_code_free>> compiled;
  std::string where;
};

namespace {

std::shared_ptr<const Regex::Code> compile(const std::string& pattern, uint32_t options,
                                           const std::string& where) {
  CHECK(pattern.size() <= kLongestPattern, Exit::kModel,
        "{}: a pattern of {} bytes; at most {} are supported", where, pattern.size(),
        kLongestPattern);
  const std::unique_ptr<pcre2_compile_context, Freed<pcre2_compile_context_free>> context(
      pcre2_compile_context_create(nullptr));
  CHECK(context, Exit::kInternal, "out of memory for regular expressions");
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  int error = 0;
  PCRE2_SIZE offset = 0;
  auto code = std::make_shared<Regex::Code>();
  code->where = where;
  code->compiled.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                                     options | PCRE2_UTF, &error, &offset, context.get()));
  CHECK(code->compiled, Exit::kModel, "{}: not a regular expression: {}", where,
        pcre2_message(error));
  pcre2_jit_compile(code->compiled.get(), PCRE2_JIT_COMPLETE);  // only speed: may be missing
  return code;
}

/// The first match at or after `start`, or rc < 0 in PCRE2's numbering. The text is valid UTF-8:
/// checking it again at every match would make the time quadratic.
int match_from(const Regex::Code& code, std::string_view text, size_t start, Scratch& scratch) {
  const auto run = [&](uint32_t options) {
    return pcre2_match(code.compiled.get(), reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(),
                       start, options | PCRE2_NO_UTF_CHECK, scratch.match.get(),
                       scratch.context.get());
  };
  const int rc = run(0);
  return rc == PCRE2_ERROR_JIT_STACKLIMIT ? run(PCRE2_NO_JIT) : rc;
}

}  // namespace

Regex Regex::onig(std::string_view pattern, const std::string& where) {
  // Ruby's ^ and $ always mean lines.
  return Regex(compile(pcre2_from_onig(pattern, where), PCRE2_UCP | PCRE2_MULTILINE, where));
}

Regex Regex::pcre2(const std::string& pattern) {
  return Regex(compile(pattern, PCRE2_UCP, "built-in pattern"));
}

Regex Regex::literal(const std::string& text, const std::string& where) {
  return Regex(compile(text, PCRE2_LITERAL, where));
}

std::vector<Match> Regex::find_all(std::string_view text) const {
  Scratch& scratch = scratch_of_thread();
  const uint64_t steps = std::max<uint64_t>(kStepsAtLeast, text.size() * kStepsPerByte);
  pcre2_set_match_limit(scratch.context.get(), static_cast<uint32_t>(std::min<uint64_t>(
                                                   steps, std::numeric_limits<uint32_t>::max())));
  std::vector<Match> matches;
  size_t start = 0;
  while (start <= text.size()) {
    const int rc = match_from(*code_, text, start, scratch);
    if (rc == PCRE2_ERROR_NOMATCH) break;
    CHECK(rc >= 0, Exit::kModel, "{}: the regular expression failed on a text of {} bytes: {}",
          code_->where, text.size(), pcre2_message(rc));
    const PCRE2_SIZE* bounds = pcre2_get_ovector_pointer(scratch.match.get());
    const Match match{bounds[0], bounds[1]};
    const bool empty = match.begin == match.end;
    if (empty && !matches.empty() && matches.back().end == match.begin) {
      start = match.end < text.size() ? match.end + utf8_length(text[match.end]) : text.size() + 1;
      continue;
    }
    matches.push_back(match);
    start = match.end;
  }
  return matches;
}

}  // namespace llmpq
