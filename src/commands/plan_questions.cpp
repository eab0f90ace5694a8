#include "commands/plan_questions.hpp"

#include <cstdio>

#include "kernels/check.hpp"
#include "plan/questions.hpp"

namespace llmpq {
namespace {

Answer answer_of(const Job& job, const PlanRequest& request) {
  if (job.max_batch) return largest_batch(request, job.strategy);
  if (job.max_context) return longest_context(request, job.strategy);
  return fewest_cuts(request, job.strategy);
}

}  // namespace

bool asks_question(const Job& job) { return job.max_batch || job.max_context || job.min_bits; }

int answer_question(const Job& job, const PlanRequest& request) {
  const Answer answer = answer_of(job, request);
  const std::string text = job.json ? to_json(answer) : answer.sentence + "\n";
  std::fwrite(text.data(), 1, text.size(), stdout);
  return answer.value ? 0 : static_cast<int>(Exit::kNoPlan);
}

}  // namespace llmpq
