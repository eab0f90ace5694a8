// In front of MPI's own by LD_PRELOAD: on the rank FAILING_RANK every send fails after
// FAILING_AFTER of them, but for those by which ranks tell each other that they live. For tests of
// what a rank that fails during a run leaves behind.
#include <mpi.h>

#include <atomic>
#include <cstdlib>
#include <string>

namespace {

constexpr int kPulseTag = 4;  ///< of pipeline/watchdog

std::string variable(const char* name) {
  const char* const text = std::getenv(name);
  return text ? text : "";
}

}  // namespace

extern "C" int MPI_Isend(const void* data, int count, MPI_Datatype type, int peer, int tag,
                         MPI_Comm comm, MPI_Request* request) {
  static std::atomic<int> sends{0};
  const bool fails = variable("FAILING_RANK") == variable("OMPI_COMM_WORLD_RANK") &&
                     tag != kPulseTag && sends++ >= std::atoi(variable("FAILING_AFTER").c_str());
  return fails ? MPI_ERR_OTHER : PMPI_Isend(data, count, type, peer, tag, comm, request);
}
