#include "commands/profile.hpp"

#include <fmt/core.h>

#include <cstdio>

#include "base/file.hpp"
#include "base/log.hpp"
#include "commands/places.hpp"
#include "commands/profile_report.hpp"
#include "commands/profiles.hpp"

namespace llmpq {

int run_profile(const Job& job) {
  set_log_level(job.log_level);
  const Mpi mpi;
  check_places(mpi, job, Command::kProfile);
  const Input input = load_input(mpi, job);
  const Machines machines = find_machines(mpi, job);
  const auto ranks = find_profiles(mpi, job, input, machines);
  const auto links = profile_links(mpi, machines);
  mpi.agreed([&] {
    if (mpi.rank() != 0) return;
    const std::string model = (job.model / "").parent_path().filename().string();
    const ProfileFile file =
        profile_file(ranks, links, fmt::format("layers of {}, by llmpq profile", model));
    if (!job.save_profile.empty())
      write_file_atomically(job.save_profile, to_json(file), Exit::kOutput);
    const std::string text = job.json ? to_json(ranks, machines.inventory, file) + "\n"
                                      : describe(ranks, machines.inventory, links);
    std::fwrite(text.data(), 1, text.size(), stdout);
  });
  return 0;
}

}  // namespace llmpq
