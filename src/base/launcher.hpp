// What whoever started us says in the environment, before MPI is there and without it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace llmpq {

/// The launcher's word for who we are; true also without one.
bool is_first_rank();

/// The process is an mpirun, or what it starts on other hosts.
bool is_mpirun(int pid);

/// When Slurm ends this job, in seconds since 1970; nothing outside Slurm, or where no limit is
/// known. Without SLURM_JOB_END_TIME it asks squeue, for five seconds at most: call it on one rank,
/// once, before MPI starts.
std::optional<double> slurm_end_s();

/// How squeue and scontrol call this job, "71" or "71_3" in an array (whose first task has the
/// number of the whole array); empty outside Slurm.
std::string slurm_job_name();

/// Bytes of this node that Slurm gives to the job, as --mem, --mem-per-cpu or --mem-per-gpu said;
/// nothing outside Slurm, or where memory is not limited.
std::optional<int64_t> slurm_node_memory();

/// squeue's time left, "1-02:03:04", "2:03:04", "03:04" or "4", in seconds; nothing for its words.
std::optional<double> parse_time_left(const std::string& text);

}  // namespace llmpq
