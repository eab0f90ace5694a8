#include "program/run_program.hpp"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <thread>

namespace llmpq::test {
namespace {

std::string content_and_remove(const std::string& path) {
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  unlink(path.c_str());
  return text.str();
}

void redirect(int target, const std::string& path) {
  const int file = open(path.c_str(), O_CREAT | O_TRUNC | O_WRONLY, 0600);
  dup2(file, target);
  close(file);
}

[[noreturn]] void execute(std::vector<std::string> words, const std::string& stem,
                          const RunLimits& limits) {
  redirect(STDOUT_FILENO, stem + ".out");
  redirect(STDERR_FILENO, stem + ".err");
  redirect(STDIN_FILENO, "/dev/null");
  if (!limits.gpus) setenv("CUDA_VISIBLE_DEVICES", "", 1);
  setenv("XDG_CACHE_HOME", "/dev/null", 1);  // no test sees profiles that others kept
  setenv("OMPI_ALLOW_RUN_AS_ROOT", "1", 1);
  setenv("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1", 1);
  for (const auto& [name, value] : limits.environment) setenv(name.c_str(), value.c_str(), 1);
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  execvp(pointers[0], pointers.data());
  _exit(127);
}

/// The process and all that it started, the ranks that mpirun puts into groups of their own too.
std::vector<pid_t> family_of(pid_t pid) {
  std::vector<pid_t> family{pid};
  for (size_t i = 0; i < family.size(); ++i) {
    const std::string id = std::to_string(family[i]);
    std::ifstream children("/proc/" + id + "/task/" + id + "/children");
    for (pid_t child; children >> child;) family.push_back(child);
  }
  return family;
}

void kill_all(pid_t pid, rusage& usage) {
  const std::vector<pid_t> family = family_of(pid);
  for (pid_t member : family) kill(member, SIGKILL);
  wait4(pid, nullptr, 0, &usage);
  for (pid_t member : family)
    while (kill(member, 0) == 0) std::this_thread::sleep_for(std::chrono::milliseconds(2));
}

/// The exit code as a shell has it; what the process used goes to `usage`.
int wait_or_kill(pid_t pid, const RunLimits& limits, rusage& usage) {
  auto begin = std::chrono::steady_clock::now();
  bool counting = limits.kill_file.empty();
  int status = 0;
  while (wait4(pid, &status, WNOHANG, &usage) == 0) {
    const auto now = std::chrono::steady_clock::now();
    if (!counting && std::filesystem::exists(limits.kill_file)) {
      counting = true;
      begin = now;
    }
    if (counting && now - begin > std::chrono::duration<double>(limits.kill_after_s)) {
      kill_all(pid, usage);
      return 137;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

ProgramRun run_program(const std::vector<std::string>& arguments, int ranks,
                       const RunLimits& limits) {
  static int count = 0;
  const std::string stem =
      "/tmp/llmpq-test-" + std::to_string(getpid()) + "-" + std::to_string(count++);
  std::vector<std::string> words;
  if (ranks > 0) words = {"mpirun", "--oversubscribe", "-n", std::to_string(ranks)};
  words.push_back(LLMPQ_PROGRAM);
  words.insert(words.end(), arguments.begin(), arguments.end());
  const pid_t pid = fork();
  if (pid < 0) throw std::runtime_error("fork failed");
  if (pid == 0) execute(words, stem, limits);
  ProgramRun run;
  rusage usage{};
  run.exit_code = wait_or_kill(pid, limits, usage);
  run.max_rss_kib = usage.ru_maxrss;
  run.out = content_and_remove(stem + ".out");
  run.err = content_and_remove(stem + ".err");
  return run;
}

}  // namespace llmpq::test
