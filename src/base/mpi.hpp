// The process's MPI, from init to finalize: who am I, collectives over all ranks, and agreement on
// errors. One thread a rank owns it (MPI_THREAD_FUNNELED). Used by main, the pipeline and profile.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kernels/check.hpp"

namespace llmpq {

/// All ranks of the job. Also works without mpirun or srun: then there is one rank. A call that
/// fails throws Error(kMpi) with MPI's own text; collective calls say so.
class Mpi {
 public:
  /// Starts MPI, makes its calls return errors instead of aborting, and tells the log its rank and
  /// host. Collective; once per process.
  Mpi();
  /// Finalizes. Collective in effect: a rank that cannot come here calls abort().
  ~Mpi();
  Mpi(const Mpi&) = delete;
  Mpi& operator=(const Mpi&) = delete;

  int rank() const { return rank_; }
  int size() const { return size_; }
  /// Among the ranks that share this node's memory.
  int node_rank() const { return node_rank_; }
  int node_size() const { return node_size_; }
  const std::string& host() const { return host_; }

  /// `call` is called again and again, at most some 100 us apart, while a collective call waits for
  /// other ranks, and some 50 times a second during agreed_on_long(): so that this rank answers
  /// when it is asked whether it lives. It must not throw, and may use links, but no collective
  /// call.
  void while_waiting(std::function<void()> call);

  /// Collective.
  void barrier() const;
  /// Collective: every rank gets `root`'s bytes (any size).
  void broadcast(std::vector<std::byte>& bytes, int root = 0) const;
  /// Collective: returns `root`'s text on every rank.
  std::string broadcast(std::string text, int root = 0) const;
  /// Collective: the texts of all ranks by rank on `root`, nothing elsewhere.
  std::vector<std::string> gather(const std::string& text, int root = 0) const;
  /// Collective: the texts of all ranks by rank, on every rank.
  std::vector<std::string> all_gather(const std::string& text) const;
  /// Collective: the largest of the ranks' values.
  double max(double value) const;

  /// Collective: if any rank brings an error, rank 0 tells the user the lowest such rank's, and all
  /// ranks throw it as told.
  void agree(const std::optional<Error>& mine) const;
  /// Collective: runs `work` here and agrees on what it threw; other exceptions are kInternal.
  void agreed(const std::function<void()>& work) const;
  /// The same for work that may take minutes: it runs on a thread of its own, must not use MPI, and
  /// meanwhile this rank answers the others (see while_waiting()).
  void agreed_on_long(const std::function<void()>& work) const;

  /// Ends all ranks with `code`, for failures during the run. Print rank, stage and step before.
  [[noreturn]] void abort(Exit code) const;

  struct Handle;  ///< the communicator, for link_mpi.cpp
  const Handle& handle() const { return *handle_; }

 private:
  std::unique_ptr<Handle> handle_;
  int rank_ = 0;
  int size_ = 1;
  int node_rank_ = 0;
  int node_size_ = 1;
  std::string host_;
};

}  // namespace llmpq
