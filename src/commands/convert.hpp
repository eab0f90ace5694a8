// llmpq convert: prompts between JSONL, CSV, text and HDF5, as text or as token ids; outputs into
// JSONL, CSV and text; shards of a job into one output. Without mpirun.
#pragma once

#include "input/job.hpp"

namespace llmpq {

/// Reads job.input, writes job.output, whose ending says what it becomes. The output appears whole
/// or not at all; one that exists is kept (Error kOutput) unless job.overwrite.
int run_convert(const Job& job);

}  // namespace llmpq
