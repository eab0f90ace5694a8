#include "program/run_program.hpp"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <thread>

#include "base/timer.hpp"

namespace llmpq::test {
namespace {

constexpr auto kLook = std::chrono::milliseconds(2);

std::string content(const std::string& path) {
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

std::string content_and_remove(const std::string& path) {
  const std::string text = content(path);
  unlink(path.c_str());
  return text;
}

void redirect(int target, const std::string& path) {
  const int file = open(path.c_str(), O_CREAT | O_TRUNC | O_WRONLY, 0600);
  dup2(file, target);
  close(file);
}

void close_pipes() {
  int ends[2];
  if (pipe(ends) != 0) _exit(126);
  close(ends[0]);
  dup2(ends[1], STDOUT_FILENO);
  dup2(ends[1], STDERR_FILENO);
}

[[noreturn]] void execute(std::vector<std::string> words, const std::string& stem,
                          const RunLimits& limits) {
  redirect(STDOUT_FILENO, stem + ".out");
  redirect(STDERR_FILENO, stem + ".err");
  redirect(STDIN_FILENO, "/dev/null");
  if (limits.closed_pipes) close_pipes();
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

/// Whether a process was started as this rank by mpirun.
bool is_rank(pid_t pid, int rank) {
  std::ifstream environment("/proc/" + std::to_string(pid) + "/environ", std::ios::binary);
  const std::string wanted = "OMPI_COMM_WORLD_RANK=" + std::to_string(rank);
  for (std::string entry; std::getline(environment, entry, '\0');)
    if (entry == wanted) return true;
  return false;
}

}  // namespace

RunningProgram::RunningProgram(const std::vector<std::string>& arguments, int ranks,
                               const RunLimits& limits)
    : limits_(limits), end_s_(steady_seconds() + limits.kill_after_s), ranks_(ranks) {
  static int count = 0;
  stem_ = "/tmp/llmpq-test-" + std::to_string(getpid()) + "-" + std::to_string(count++);
  std::vector<std::string> words;
  if (ranks > 0) words = {"mpirun", "--oversubscribe", "-n", std::to_string(ranks)};
  words.push_back(LLMPQ_PROGRAM);
  words.insert(words.end(), arguments.begin(), arguments.end());
  pid_ = fork();
  if (pid_ < 0) throw std::runtime_error("fork failed");
  if (pid_ == 0) execute(words, stem_, limits);
}

RunningProgram::~RunningProgram() {
  if (!ended_) kill_all();
}

bool RunningProgram::ended() {
  rusage usage{};
  if (!ended_ && wait4(pid_, &status_, WNOHANG, &usage) != 0) {
    ended_ = true;
    max_rss_kib_ = usage.ru_maxrss;
  }
  return ended_;
}

pid_t RunningProgram::rank_pid(int rank) const {
  if (ranks_ == 0) return rank == 0 ? pid_ : 0;
  for (const pid_t member : family_of(pid_))
    if (is_rank(member, rank)) return member;
  return 0;
}

bool RunningProgram::signal_rank(int rank, int signal) const {
  const pid_t pid = rank_pid(rank);  // 0 would mean this test
  return pid > 0 && kill(pid, signal) == 0;
}

std::string RunningProgram::err() const { return content(stem_ + ".err"); }

bool RunningProgram::says(const std::string& text) {
  for (const Timer timer; timer.seconds() < 60; std::this_thread::sleep_for(kLook)) {
    const bool over = ended();  // first: what it said before its end counts
    if (err().find(text) != std::string::npos) return true;
    if (over) return false;
  }
  return false;
}

ProgramRun RunningProgram::result(int exit_code) {
  ProgramRun run;
  run.exit_code = exit_code;
  run.max_rss_kib = max_rss_kib_;
  run.out = content_and_remove(stem_ + ".out");
  run.err = content_and_remove(stem_ + ".err");
  return run;
}

ProgramRun RunningProgram::wait() {
  for (; !ended(); std::this_thread::sleep_for(kLook))
    if (steady_seconds() > end_s_) return kill_all();
  return result(WIFEXITED(status_) ? WEXITSTATUS(status_) : 128 + WTERMSIG(status_));
}

ProgramRun RunningProgram::kill_all() {
  const std::vector<pid_t> family = family_of(pid_);
  for (pid_t member : family) kill(member, SIGKILL);
  while (!ended()) std::this_thread::sleep_for(kLook);
  for (pid_t member : family)
    while (kill(member, 0) == 0) std::this_thread::sleep_for(kLook);
  return result(137);
}

ProgramRun run_program(const std::vector<std::string>& arguments, int ranks,
                       const RunLimits& limits) {
  return RunningProgram(arguments, ranks, limits).wait();
}

}  // namespace llmpq::test
