// Figures with their uncertainty: means over groups of observations, and shares of successes.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

namespace llmpq {

/// Observations that belong together, such as the scored tokens of a window: those of one group
/// resemble each other, groups are taken for independent.
struct GroupSum {
  double sum = 0;
  double count = 0;
};

struct Estimate {
  double value = 0;
  std::optional<double> error;  ///< one standard error; unknown where there is one group alone
};

/// The mean m = S / N of all observations, S and N summed over n groups, and its standard error
/// sqrt(n / (n - 1) * sum_g (S_g - m N_g)^2) / N: that of a ratio of sums (Cochran, Sampling
/// Techniques, 3rd ed., 1977, section 2.11), which language models' evaluations know as the
/// clustered one (Miller, Adding Error Bars to Evals, 2024, section 2.2). There must be
/// observations.
Estimate mean_of_groups(std::span<const GroupSum> groups);

/// exp(estimate): the error to first order (delta method), exp(value) * error.
Estimate exp_of(const Estimate& estimate);

/// The share of successes with the bounds of Wilson's 95 % interval, z = 1.96:
/// (p + z^2 / 2n -+ z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n) (Wilson, JASA 22, 1927). It
/// holds for few trials too, and for shares of 0 and 1. At least one trial.
struct Share95 {
  double value, low, high;
};
Share95 wilson_share(int64_t successes, int64_t trials);

}  // namespace llmpq
