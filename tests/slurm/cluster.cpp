#include "slurm/cluster.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <regex>
#include <stdexcept>
#include <thread>

namespace llmpq::test {
namespace {

const std::string kScript = std::string(LLMPQ_TEST_DATA) + "/slurm/cluster.sh";

std::string quoted(const std::string& word) {
  std::string text = "'";
  for (const char c : word) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return text + "'";
}

std::string without_newline(std::string text) {
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

}  // namespace

ShellRun run_shell(const std::vector<std::string>& words) {
  std::string line;
  for (const std::string& word : words) line += quoted(word) + " ";
  std::FILE* pipe = popen((line + "2>&1 </dev/null").c_str(), "r");
  if (pipe == nullptr) throw std::runtime_error("popen failed: " + line);
  ShellRun run;
  std::array<char, 4096> buffer;
  for (size_t count; (count = std::fread(buffer.data(), 1, buffer.size(), pipe)) > 0;)
    run.out.append(buffer.data(), count);
  const int status = pclose(pipe);
  run.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return run;
}

bool wait_for(double most_s, const std::function<bool()>& ready) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(most_s);
  while (!ready()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
  }
  return true;
}

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
  std::string now;
  wait_for(most_s, [&] {
    now = state(job);
    // A requeued job completes and pends before it runs again.
    return now != "RUNNING" && now != "PENDING" && now != "COMPLETING" && now != "REQUEUED" &&
           now != "CONFIGURING";
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
