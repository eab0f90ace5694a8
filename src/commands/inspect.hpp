// llmpq inspect FILE: shows any file of ours, without mpirun: prompts, an output, the journal of a
// running or dead job, a sensitivity file, a plan or another JSON file.
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>

#include "input/job.hpp"

namespace llmpq {

/// What there is to say about a file, as one object. Outputs and journals have `rows`, `rows_done`
/// (failed ones included) and `rows_failed`. Where OUTPUT.part stands beside OUTPUT, or instead of
/// it, the object tells of that. Error(kOutput) if the file cannot be read or is none of ours.
nlohmann::ordered_json describe_file(const std::filesystem::path& file);

/// Prints it: a table and the first rows, or with --json the object on one line.
int run_inspect(const Job& job);

}  // namespace llmpq
