// main() of tests on several ranks: failures are printed with the rank in front, rank 0 prints the
// usual report, and the ranks agree on the result, so that one failing rank fails the run.
#include "mpi_test_main.hpp"

#include <gtest/gtest.h>

#include <cstdio>
#include <memory>

namespace llmpq {
namespace {

std::unique_ptr<Mpi> mpi;

class RankedFailures : public testing::EmptyTestEventListener {
  void OnTestPartResult(const testing::TestPartResult& result) override {
    if (!result.failed()) return;
    std::fprintf(stderr, "[rank %d of %d] %s:%d: %s\n", mpi->rank(), mpi->size(),
                 result.file_name() != nullptr ? result.file_name() : "?", result.line_number(),
                 result.message());
  }
  /// Ranks start each test together, so that one that failed early does not meet another test.
  void OnTestEnd(const testing::TestInfo&) override { mpi->barrier(); }
};

}  // namespace

Mpi& test_mpi() { return *mpi; }

}  // namespace llmpq

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  llmpq::mpi = std::make_unique<llmpq::Mpi>();
  auto& listeners = testing::UnitTest::GetInstance()->listeners();
  if (llmpq::mpi->rank() != 0) delete listeners.Release(listeners.default_result_printer());
  listeners.Append(new llmpq::RankedFailures());
  const int mine = RUN_ALL_TESTS();
  const double worst = llmpq::mpi->max(mine);
  llmpq::mpi.reset();
  return worst == 0 ? 0 : 1;
}
