// The problem file ("llmpq-problem-1"): written by `plan --save-problem`, solved by `plan
// --problem` here or by any other solver.
#pragma once

#include <string>
#include <string_view>

#include "plan/problem.hpp"

namespace llmpq {

/// The file's text: a key a line, a row of the large tables a line. Exact: doubles are written with
/// as many digits as they need.
std::string to_json(const Problem& problem);

/// Reads a problem file and checks it (check_problem); `name` is what messages call the file.
/// Error(kUsage) names the key, the value found and the one wanted. Keys that it does not know are
/// passed over, unless they look like a known one misspelt.
Problem parse_problem(std::string_view text, std::string_view name);

}  // namespace llmpq
