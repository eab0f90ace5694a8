#include "base/launcher.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>

namespace llmpq {
namespace {

std::string first_line_of(const std::string& command) {
  std::FILE* const pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return "";
  std::array<char, 128> line{};
  const std::string text = std::fgets(line.data(), line.size(), pipe) ? line.data() : "";
  pclose(pipe);
  return text;
}

/// The number in a variable; 0 if there is none.
int64_t number_of(const char* name) {
  const char* const text = std::getenv(name);
  return text ? std::strtoll(text, nullptr, 10) : 0;
}

}  // namespace

bool is_first_rank() {
  for (const char* name : {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "SLURM_PROCID"})
    if (const char* rank = std::getenv(name)) return std::string(rank) == "0";
  return true;
}

bool is_mpirun(int pid) {
  std::string command;
  std::ifstream(fmt::format("/proc/{}/comm", pid)) >> command;
  constexpr std::array kNames{"mpirun",  "mpiexec", "orterun",       "orted",          "prte",
                              "prterun", "prted",   "mpiexec.hydra", "hydra_pmi_proxy"};
  return std::ranges::find(kNames, command) != kNames.end();
}

std::optional<double> slurm_end_s() {
  if (const char* end = std::getenv("SLURM_JOB_END_TIME")) return std::strtod(end, nullptr);
  const std::string job = slurm_job_name();
  if (job.empty()) return std::nullopt;
  const auto left_s = parse_time_left(
      first_line_of(fmt::format("timeout 5 squeue --noheader --jobs {} --format %L 2>&1", job)));
  if (!left_s) return std::nullopt;
  return static_cast<double>(std::time(nullptr)) + *left_s;
}

std::string slurm_job_name() {
  if (std::getenv("SLURM_JOB_ID") == nullptr) return "";
  if (std::getenv("SLURM_ARRAY_JOB_ID") == nullptr)
    return std::to_string(number_of("SLURM_JOB_ID"));
  return fmt::format("{}_{}", number_of("SLURM_ARRAY_JOB_ID"), number_of("SLURM_ARRAY_TASK_ID"));
}

std::optional<int64_t> slurm_node_memory() {
  // Slurm sets one of the three.
  const int64_t mib = number_of("SLURM_MEM_PER_NODE") +
                      number_of("SLURM_MEM_PER_CPU") * number_of("SLURM_CPUS_ON_NODE") +
                      number_of("SLURM_MEM_PER_GPU") * number_of("SLURM_GPUS_ON_NODE");
  if (mib <= 0) return std::nullopt;
  return mib << 20;
}

std::optional<double> parse_time_left(const std::string& text) {
  int days = 0, parts[3] = {0, 0, 0}, used = 0;
  const char* rest = text.c_str();
  if (std::sscanf(rest, "%d-%n", &days, &used) == 1 && used > 0)
    rest += used;
  else
    days = 0;
  const int count = std::sscanf(rest, "%d:%d:%d", &parts[0], &parts[1], &parts[2]);
  if (count < 1) return std::nullopt;
  double seconds = 0;
  for (int i = 0; i < count; ++i) seconds = seconds * 60 + parts[i];
  return days * 86400.0 + seconds;
}

}  // namespace llmpq
