// What the environment says of the emulated machine (README.md has the variables).
#pragma once

#include <cstddef>
#include <vector>

namespace llmpq::emulated {

/// A variable's numbers, which commas part: the i-th for GPU i of the machine; the last one is for
/// all that follow, `otherwise` where the variable is not set. Stops at anything but numbers within
/// [least, most].
class Numbers {
 public:
  Numbers(const char* variable, long otherwise, long least, long most);
  long of(size_t gpu) const { return list_[gpu < list_.size() ? gpu : list_.size() - 1]; }
  const std::vector<long>& list() const { return list_; }

 private:
  std::vector<long> list_;
};

/// The newest CUDA that the driver knows, as CUDA counts (13000); 0: there is no driver.
int driver_version();

}  // namespace llmpq::emulated
