// What tests on several ranks share: the job's MPI, made once by main.
#pragma once

#include "base/mpi.hpp"

namespace llmpq {

/// All ranks of the test; valid while tests run.
Mpi& test_mpi();

}  // namespace llmpq
