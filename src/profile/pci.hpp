// What the PCI bus says, without any driver.
#pragma once

namespace llmpq {

/// Whether this host has a display or compute device of NVIDIA, usable or not.
bool has_nvidia_gpu();

}  // namespace llmpq
