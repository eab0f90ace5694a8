// The check around every MPI call and the communicator behind Mpi. Only for .cpp files that call
// MPI: this is where mpi.h comes in.
#pragma once

#include <mpi.h>

#include <functional>

#include "base/mpi.hpp"

namespace llmpq {

struct Mpi::Handle {
  MPI_Comm world = MPI_COMM_NULL;       ///< a duplicate of MPI_COMM_WORLD that returns errors
  std::function<void()> while_waiting;  ///< see Mpi::while_waiting(); may be empty
};

/// Throws Error(kMpi) with the name of the call and MPI's own text unless `result` is a success.
void check_mpi(int result, const char* call);

}  // namespace llmpq

#define CHECK_MPI(call) ::llmpq::check_mpi(call, #call)
