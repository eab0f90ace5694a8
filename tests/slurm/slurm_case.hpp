// What the tests of slurm/ have in common: a Slurm, a job file, and the output of a run that nobody
// disturbed to compare with.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "program/files.hpp"
#include "slurm/cluster.hpp"

namespace llmpq::test {

/// A row with the id that it has in the output file.
struct NamedRow {
  std::string id;
  OutputRow row;
};

class SlurmCase : public testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

  /// Writes job.toml: so many of the bundled prompts, in a way that takes a while.
  void write_job(int64_t rows) const;

  /// Submits slurm/SCRIPT with job.toml; returns the job's id.
  std::string submit(const std::string& script, const std::vector<std::string>& options,
                     const std::vector<std::string>& flags = {}) const;

  /// How many rows of out.h5 are done; 0 where there is none yet.
  int64_t rows_done(const std::string& output = "out.h5") const;
  /// Fails the test if so many are not done after so long.
  void wait_for_rows(int64_t rows, double most_s, const std::string& output = "out.h5") const;

  /// The rows of the job without Slurm, on one rank.
  std::vector<NamedRow> undisturbed() const;
  /// out.h5 against them: everything but which plan made a row.
  void expect_undisturbed() const;

  std::string log(const std::string& job) const;  ///< llmpq-JOB.log
  const Cluster& slurm() const { return *slurm_; }
  std::string path(const std::string& name) const { return scratch_.path(name); }

 private:
  Scratch scratch_;
  std::unique_ptr<Cluster> slurm_;
};

/// The file's text; empty where there is none.
std::string text_of(const std::string& path);

}  // namespace llmpq::test
