#include "slurm/cluster.hpp"

#include <gtest/gtest.h>

#include <regex>
#include <set>
#include <stdexcept>

namespace llmpq::test {
namespace {

const std::string kScript = std::string(LLMPQ_TEST_DATA) + "/slurm/cluster.sh";

std::string without_newline(std::string text) {
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

}  // namespace

std::string Cluster::obstacle() {
  const ShellRun run = run_shell({kScript, "obstacle"});
  if (run.exit_code != 0) return kScript + " failed: " + run.out;
  return without_newline(run.out);
}

Cluster::Cluster() {
  const ShellRun run = run_shell({kScript, "start", folder_});
  if (run.exit_code != 0) throw std::runtime_error("Slurm does not start: " + run.out);
}

Cluster::~Cluster() { run_shell({kScript, "stop", folder_}); }

std::string Cluster::command(const std::vector<std::string>& words) const {
  std::vector<std::string> all{kScript, "exec", folder_};
  all.insert(all.end(), words.begin(), words.end());
  const ShellRun run = run_shell(all);
  EXPECT_EQ(run.exit_code, 0) << words[0] << ": " << run.out;
  return without_newline(run.out);
}

std::string Cluster::submit(const std::string& folder,
                            const std::vector<std::string>& words) const {
  std::vector<std::string> all{"sbatch", "--parsable", "--chdir=" + folder};
  all.insert(all.end(), words.begin(), words.end());
  return command(all);
}

std::string Cluster::state(const std::string& job) const {
  const std::string text = command({"scontrol", "-o", "show", "job", job});
  std::smatch match;
  return std::regex_search(text, match, std::regex("JobState=([A-Z_]+)")) ? match[1] : text;
}

std::string Cluster::wait(const std::string& job, double most_s) const {
  static const std::set<std::string> kFinal{"COMPLETED", "FAILED",  "CANCELLED",
                                            "NODE_FAIL", "TIMEOUT", "OUT_OF_MEMORY"};
  std::string now;
  wait_for(most_s, [&] {
    now = state(job);
    return kFinal.count(now) > 0;
  });
  return now;
}

void Cluster::node_down(const std::string& node) const {
  run_shell({kScript, "node-down", folder_, node});
}

void Cluster::node_up(const std::string& node) const {
  run_shell({kScript, "node-up", folder_, node});
}

}  // namespace llmpq::test
