// A Slurm of our own for one test (cluster.sh), and jobs in it. Used by the tests of slurm/.
#pragma once

#include <string>
#include <vector>

#include "base/temp_folder.hpp"
#include "program/run_shell.hpp"

namespace llmpq::test {

class Cluster {
 public:
  /// Why there can be no Slurm of our own here; empty if there can.
  static std::string obstacle();

  Cluster();   ///< starts it: nodes a100n1, a100n2, t4n1, v100n1 with two GPUs each. Throws.
  ~Cluster();  ///< ends it and all its jobs
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;

  /// Runs a command of Slurm; fails the test if that fails. Returns what it prints.
  std::string command(const std::vector<std::string>& words) const;

  /// sbatch in `folder`, where the job's logs are left too. Returns the job's id.
  std::string submit(const std::string& folder, const std::vector<std::string>& words) const;

  /// "RUNNING", "COMPLETED", ...; of the first task or component of several.
  std::string state(const std::string& job) const;
  /// Waits until the job has ended for good and returns its state; what it is after so long.
  std::string wait(const std::string& job, double most_s) const;

  void node_down(const std::string& node) const;
  void node_up(const std::string& node) const;

 private:
  TempFolder parent_;  // a short path, as sockets want it
  std::string folder_ = (parent_ / "s").string();
};

}  // namespace llmpq::test
