// Options of `llmpq plan` that show more than a plan, or something else. Part of the list.
#include "input/job_binding.hpp"
#include "input/job_options.hpp"

namespace llmpq {

std::vector<Option> view_options() {
  using namespace binding;
  constexpr unsigned kPlan = bit(Command::kPlan);
  const std::string group = "Look closer: pictures, comparisons, questions";
  return {
      {"svg", group, kPlan, "FILE",
       "Draw the plan of --problem or --cluster there (SVG): layers, bits, busy time and memory of "
       "each stage; with --sweep the curve.",
       single(ValueType::kPath, &Job::svg)},
      {"explain", group, kPlan, "",
       "Also tell what limits the plan of --problem or --cluster, and what the next device of each "
       "kind, a GiB more, or a stage on each idle device would change.",
       flag(&Job::explain)},
      {"sweep", group, kPlan, "",
       "theta: instead of one plan those from the best quality that fits to the fastest, to choose "
       "--theta by; for --problem or --cluster.",
       choice(&Job::sweep, {"none", "theta"})},
      {"max-batch", group, kPlan, "", "Ask instead for the largest decode batch that fits.",
       flag(&Job::max_batch)},
      {"max-context", group, kPlan, "", "Ask instead for the longest context that fits.",
       flag(&Job::max_context)},
      {"min-bits", group, kPlan, "", "Ask instead how few bits the layers must have to fit.",
       flag(&Job::min_bits)},
  };
}

}  // namespace llmpq
