#include "fault.hpp"

#include <unistd.h>

#include <cstdlib>
#include <string>

#include "runtime.hpp"
#include "warp.hpp"

namespace llmpq::emulated {
namespace {

struct Fault {
  std::string kind;
  long first = 0;  ///< the N-th
  long gpu = -1;   ///< of the machine; -1: on all
  long counted = 0;
};

/// A number that ends where the text does, or at `mark`.
const char* read_number(const char* at, char mark, long& number) {
  char* end = nullptr;
  number = std::strtol(at, &end, 10);
  return end != at && number >= 0 && (*end == 0 || *end == mark) ? end : nullptr;
}

Fault read_fault() {
  const char* text = std::getenv("LLMPQ_EMULATED_FAULT");
  if (text == nullptr) return {};
  Fault fault;
  const std::string wish = text;
  const size_t colon = wish.find(':');
  fault.kind = wish.substr(0, colon);
  const char* at = colon == std::string::npos ? nullptr : text + colon + 1;
  if (at != nullptr) at = read_number(at, '@', fault.first);
  if (at != nullptr && *at == '@') at = read_number(at + 1, 0, fault.gpu);
  const bool known = fault.kind == "kernel" || fault.kind == "hang" || fault.kind == "launch" ||
                     fault.kind == "allocation";
  if (at == nullptr || !known || fault.first == 0)
    fail("LLMPQ_EMULATED_FAULT=%s: want kernel, hang, launch or allocation, :N, and maybe @GPU",
         text);
  return fault;
}

cudaError_t sticky = cudaSuccess;

/// Whether it is this one's turn to fail.
bool is_due(const char* kind) {
  static Fault fault = read_fault();
  if (fault.kind != kind || (fault.gpu >= 0 && fault.gpu != device().machine_index)) return false;
  return ++fault.counted >= fault.first;
}

}  // namespace

cudaError_t broken() { return sticky; }

bool may_run() {
  if (is_due("kernel")) sticky = cudaErrorIllegalAddress;
  while (is_due("hang")) pause();
  return sticky == cudaSuccess;
}

cudaError_t of_launch() {
  if (sticky != cudaSuccess) return sticky;
  return is_due("launch") ? result(cudaErrorLaunchOutOfResources) : cudaSuccess;
}

cudaError_t of_allocation() {
  if (sticky != cudaSuccess) return sticky;
  return is_due("allocation") ? result(cudaErrorMemoryAllocation) : cudaSuccess;
}

}  // namespace llmpq::emulated
