// What a job says at its end: rows, tokens, seconds, speed, and where the output is.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "input/job.hpp"
#include "output/journal.hpp"
#include "pipeline/driver.hpp"

namespace llmpq {

/// The numbers of one finished run.
struct Report {
  std::filesystem::path output;
  JournalCounts rows;    ///< of the whole job, earlier runs included
  DriverCounts work;     ///< of this run
  std::string strategy;  ///< of the plan; may be empty
  double load_s = 0;
  double run_s = 0;
  double reading_s = 0, writing_s = 0;          ///< of rank 0's I/O thread, beside the run
  std::optional<double> promised_tokens_per_s;  ///< output tokens, by the plan
};

/// A table for people.
std::string report_table(const Report& report);
/// One JSON object on one line.
std::string report_json(const Report& report);

/// Writes the report to stdout: the table, or with --json the object.
void print_report(const Job& job, const Report& report);

}  // namespace llmpq
