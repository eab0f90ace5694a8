// The check around every HDF5 call. Only for the .cpp files that call HDF5.
#pragma once

#include <hdf5.h>

#include <string>

#include "base/hdf5.hpp"

namespace llmpq::h5 {

/// Turns off the library's own printing of errors, which it keeps per thread.
void silence_errors();

/// Throws Error(place.code) with the place, the call and the library's error stack.
[[noreturn]] void fail_h5(const Place& place, const char* call);

/// The result of a call, or the error: HDF5 tells failures by negative values.
template <typename Result>
Result check_h5(Result result, const Place& place, const char* call) {
  if (result < 0) fail_h5(place, call);
  return result;
}

}  // namespace llmpq::h5

/// CHECK_H5(place, H5Dopen2(...)): the call's result if it did not fail.
#define CHECK_H5(place, call) \
  (::llmpq::h5::silence_errors(), ::llmpq::h5::check_h5(call, place, #call))
