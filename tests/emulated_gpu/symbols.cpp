#include "symbols.hpp"

#include <dlfcn.h>

#include <cstdarg>
#include <cstdio>
#include <cstdlib>

#include "grid.hpp"
#include "warp.hpp"

namespace llmpq::emulated {
namespace {

std::string first_line_of(const std::string& command) {
  std::string line;
  FILE* const pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return line;
  for (int c = std::fgetc(pipe); c != EOF && c != '\n'; c = std::fgetc(pipe))
    line += static_cast<char>(c);
  pclose(pipe);
  return line;
}

}  // namespace

std::string symbol_of(const void* address) {
  Dl_info module{};
  if (dladdr(address, &module) == 0) return "a function that is not the module's";
  char offset[32];
  std::snprintf(offset, sizeof(offset), "%#tx",
                static_cast<const char*>(address) - static_cast<const char*>(module.dli_fbase));
  const std::string line = first_line_of(std::string("addr2line -Cfpe '") + module.dli_fname +
                                         "' " + offset + " 2>/dev/null");
  return line.empty() || line.front() == '?' ? std::string("kernel at ") + offset : line;
}

void fail(const char* format, ...) {
  char sentence[1024], where[1024];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(sentence, sizeof(sentence), format, arguments);
  va_end(arguments);
  describe_running(where, sizeof(where));
  std::fprintf(stderr, "emulated GPU: %s\n", sentence);
  if (where[0] != 0) std::fprintf(stderr, "emulated GPU: in %s\n", where);
  std::fflush(stderr);
  std::abort();
}

}  // namespace llmpq::emulated
