// Names of functions for sentences, and how the emulated program is stopped.
#pragma once

#include <string>

namespace llmpq::emulated {

/// What addr2line says about an address of the module, or the address itself.
std::string symbol_of(const void* address);

}  // namespace llmpq::emulated
