#include "profile/measure.hpp"

#include <gtest/gtest.h>

#include "base/expect_error.hpp"
#include "mpi_test_main.hpp"
#include "profile/fit.hpp"
#include "profile/tiny_measure.hpp"

namespace llmpq {
namespace {

MeasureSetup shared_setup() {
  MeasureSetup setup;
  setup.formats = {{Format::kW4, ActivationType::kInt8}};
  setup.heads = {{Format::kBf16, ActivationType::kF32}};
  setup.limits = {16, 4, 32};
  setup.memory_bytes = 64 << 20;
  setup.budget_s = 1;
  return setup;
}

Turns turns_of(const Mpi& mpi) {
  return Turns([&](double value) { return mpi.max(value); });
}

TEST(MeasureTogether, RanksMeasureAtTheSameTime) {
  const Mpi& mpi = test_mpi();
  const auto backend = make_cpu_backend(1, "auto");
  Turns turns = turns_of(mpi);
  MeasureSetup setup = shared_setup();
  setup.limits.max_rows += 8 * mpi.rank();  // ranks may have different numbers of points
  const Measurements measured = measure(tiny(), setup, *backend, turns);
  EXPECT_FALSE(turns.over());
  EXPECT_TRUE(fit_model(measured).layer.contains(Format::kW4)) << "rank " << mpi.rank();
}

TEST(MeasureTogether, ARankThatMeasuresNothingWaits) {
  const Mpi& mpi = test_mpi();
  const auto backend = make_cpu_backend(1, "auto");
  Turns turns = turns_of(mpi);
  if (mpi.rank() == 0)
    EXPECT_FALSE(measure(tiny(), shared_setup(), *backend, turns).layer.empty());
  else
    turns.finish();
  EXPECT_FALSE(turns.over());
}

TEST(MeasureTogether, TheOthersLearnThatOneHasFailed) {
  const Mpi& mpi = test_mpi();
  const auto backend = make_cpu_backend(1, "auto");
  Turns turns = turns_of(mpi);
  MeasureSetup setup = shared_setup();
  const bool last = mpi.rank() == mpi.size() - 1;
  if (last) setup.memory_bytes = 1000;
  if (last)
    EXPECT_ERROR(measure(tiny(), setup, *backend, turns), Exit::kNoPlan, "no layer fits");
  else
    measure(tiny(), setup, *backend, turns);
  EXPECT_TRUE(turns.over());
}

}  // namespace
}  // namespace llmpq
