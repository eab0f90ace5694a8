#include "slurm/slurm_case.hpp"

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/hdf5.hpp"
#include "base/json.hpp"
#include "program/run_program.hpp"

namespace llmpq::test {
namespace {

std::vector<NamedRow> read_named(const std::string& path) {
  std::vector<std::string> ids;
  {
    const h5::File file = h5::File::open(path, h5::File::Mode::kRead, Exit::kOutput);
    if (file.has("id")) ids = file.dataset("id").read_text(0, file.dataset("id").rows());
  }
  std::vector<NamedRow> rows;
  for (const OutputRow& row : read_output(path))
    rows.push_back({ids.empty() ? "" : ids.at(rows.size()), row});
  return rows;
}

/// The first bundled prompts, each with an id.
void write_prompts_with_ids(const std::string& path, int64_t rows) {
  const std::vector<std::string> texts = bundled_prompts(0, rows);
  std::vector<std::string> ids;
  for (const std::string& text : texts)
    ids.push_back("id " + std::to_string(7 * ids.size()) + text.substr(0, 3));
  h5::File file = h5::File::create(path, false, Exit::kPrompts);
  for (const auto& [name, column] : {std::pair("prompt", texts), std::pair("id", ids)})
    file.create_dataset(name, {h5::text_type(), 1024, {}})
        .write_text(0, std::span<const std::string>(column));
}

}  // namespace

std::string text_of(const std::string& path) {
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

void SlurmCase::SetUp() {
  const std::string obstacle = Cluster::obstacle();
  if (!obstacle.empty()) GTEST_SKIP() << "no Slurm of our own: " << obstacle;
  setenv("LLMPQ", LLMPQ_PROGRAM, 1);
  slurm_ = std::make_unique<Cluster>();
}

void SlurmCase::TearDown() {
  if (!HasFailure()) return;
  for (const auto& file : std::filesystem::directory_iterator(path(".")))
    if (file.path().extension() == ".log")
      std::printf("%s:\n%s\n", file.path().filename().c_str(), text_of(file.path()).c_str());
}

void SlurmCase::write_job(int64_t rows) const {
  write_prompts_with_ids(path("prompts.h5"), rows);
  // Few sequences at once, so that rows end one by one; the slowest instruction set, whose results
  // are the same bits as the others'.
  std::ofstream(path("job.toml")) << "model = \"" << LLMPQ_DATA << "/tiny\"\n"
                                  << "prompts = \"prompts.h5\"\noutput = \"out.h5\"\n"
                                  << "max-tokens = 24\nseed = 3\nlogprobs = 2\n"
                                  << "strategy = \"uniform\"\nformat = \"w8\"\n"
                                  << "decode-batch = 4\nlanes = 1\nisa = \"plain\"\n";
}

std::string SlurmCase::submit(const std::string& script, const std::vector<std::string>& options,
                              const std::vector<std::string>& flags) const {
  std::vector<std::string> words = options;
  words.push_back(std::string(LLMPQ_ROOT) + "/slurm/" + script);
  words.push_back("job.toml");
  words.insert(words.end(), flags.begin(), flags.end());
  return slurm().submit(path("."), words);
}

int64_t SlurmCase::rows_done(const std::string& output) const {
  const std::string file = path(output);
  if (!std::filesystem::exists(file) && !std::filesystem::exists(file + ".part")) return 0;
  const ProgramRun run = run_program({"inspect", file, "--json"});
  if (run.exit_code != 0) return 0;  // its journal is being made
  return parse_json(run.out, "stdout", Exit::kOutput)["rows_done"];
}

void SlurmCase::wait_for_rows(int64_t rows, double most_s, const std::string& output) const {
  EXPECT_TRUE(wait_for(most_s, [&] { return rows_done(output) >= rows; }))
      << "only " << rows_done(output) << " rows after " << most_s << " s";
}

std::vector<NamedRow> SlurmCase::undisturbed() const {
  const ProgramRun run = run_program({"generate", path("job.toml"), "--output", path("want.h5"),
                                      "--isa", "auto", "--decode-batch", "32", "--overwrite"});
  EXPECT_EQ(run.exit_code, 0) << run.err;
  return read_named(path("want.h5"));
}

void SlurmCase::expect_undisturbed() const {
  const std::vector<NamedRow> want = undisturbed();
  std::vector<NamedRow> rows = read_named(path("out.h5"));
  ASSERT_EQ(rows.size(), want.size());
  for (size_t i = 0; i < rows.size(); ++i) {
    rows[i].row.plan_index = want[i].row.plan_index;  // tells which run made the row
    EXPECT_EQ(rows[i].id, want[i].id) << "row " << i;
    EXPECT_TRUE(rows[i].row == want[i].row) << "row " << i;
  }
}

std::string SlurmCase::log(const std::string& job) const {
  return text_of(path("llmpq-" + job + ".log"));
}

}  // namespace llmpq::test
