// Writes the result that h5py_read.py reads: 40 prompts, 2 samples each, 3 top logprobs.
#include <cstdio>
#include <exception>

#include "output/publish.hpp"
#include "output/rows.hpp"

using namespace llmpq;

int main(int argc, char** argv) try {
  if (argc != 3) return 2;
  const JournalHead head = sample_head(0, 40, 2, 3);
  auto journal = Journal::create(argv[1], head);
  journal->add_plan(R"({"format": "llmpq-plan-1"})");
  for (int64_t row = 39; row >= 0; --row) {
    for (int32_t sample = 0; sample < 2; ++sample) journal->add(sample_row(row, sample, 3));
  }
  const auto ids = [](int64_t begin, int64_t count) {
    std::vector<std::string> ids;
    for (int64_t row = begin; row < begin + count; ++row)
      ids.push_back("id-" + std::to_string(row));
    return ids;
  };
  const bool as_bytes = std::string(argv[2]) == "bytes";
  publish(argv[1], std::move(journal), {as_bytes, R"({"run_s": 1})", ids});
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
