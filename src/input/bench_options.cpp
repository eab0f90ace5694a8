// The options that only llmpq bench has. Like job_options.cpp; what is a choice of one there is a
// list of the same choices here.
#include <algorithm>

#include "input/job_binding.hpp"

namespace llmpq {
namespace {

using namespace binding;

/// A list of the choices of another command's option, but for those that cannot be run.
Binding list_of(const std::vector<Option>& others, const std::string& name,
                std::vector<std::string> Job::*field) {
  const auto single_choice = std::find_if(
      others.begin(), others.end(), [&](const Option& option) { return option.name == name; });
  Binding list = single(ValueType::kChoice, field);
  list.commas = true;
  for (const std::string& choice : single_choice->binding.choices)
    if (choice != llmpq::name(Strategy::kAll)) list.choices.push_back(choice);
  return list;
}

}  // namespace

std::vector<Option> bench_options(const std::vector<Option>& others) {
  constexpr unsigned kBench = bit(Command::kBench);
  const std::string group = "Bench";
  return {
      {"input-len", group, kBench, "tokens",
       "Length of every prompt, of random tokens. With --prompts their lengths are taken instead.",
       integer(&Job::input_len, {1, 1 << 30})},
      {"output-len", group, kBench, "tokens",
       "Length of every output, whatever tokens come; auto: 128, or the rows' max_tokens where the "
       "prompts file has them.",
       integer(&Job::output_len, {1, 1 << 30})},
      {"num-prompts", group, kBench, "prompts",
       "How many; auto: 64, or as many as the prompts file has. More than it has: over and over.",
       integer(&Job::num_prompts, {1, 1e8})},
      {"warmup", group, kBench, "runs", "Runs before those that count.",
       integer(&Job::warmup, {0, 1000})},
      {"repetitions", group, kBench, "runs", "Runs that count: their median and spread are shown.",
       integer(&Job::repetitions, {1, 1000})},
      {"strategy", group, kBench, "S,S,...",
       "How the plan is made, as for generate; each of several is loaded and run.",
       list_of(others, "strategy", &Job::strategies)},
      {"mix", group, kBench, "M,M,...",
       "How prefill and decode share the pipeline, as for generate; each of several is run.",
       list_of(others, "mix", &Job::mixes)},
      {"svg", group, kBench, "FILE",
       "Draw the last run as a Gantt chart: stages from top to bottom, time to the right. Of "
       "several "
       "strategies and mixes each gets a FILE of its own, as with --trace.",
       single(ValueType::kPath, &Job::svg)},
      {"markdown", group, kBench, "", "Print a Markdown table with a row for each case.",
       flag(&Job::markdown)},
  };
}

}  // namespace llmpq
