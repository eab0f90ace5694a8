#include "commands/eval_tasks.hpp"

#include <algorithm>
#include <optional>

#include "base/log.hpp"
#include "commands/drive_requests.hpp"

namespace llmpq {
namespace {

/// The most likely token each time, until the answer's line is over; in a chat, until the reply is.
Sampling task_sampling(const Job& job) {
  Sampling sampling;
  sampling.temperature = 0;
  sampling.max_tokens = job.sampling.max_tokens;
  sampling.stop = job.sampling.stop;
  if (sampling.stop.empty() && !job.chat) sampling.stop = {"\n"};
  return sampling;
}

class TaskFeed final : public RequestSource {
 public:
  TaskFeed(const Job& job, const std::vector<Task>& tasks, const Input& input)
      : tasks_(tasks),
        tokenizer_(input.tokenizer_or_null()),
        setup_(input.feed),
        sampling_(task_sampling(job)) {}

  bool at_end() const override { return next_ == std::ssize(tasks_); }
  FeedBatch read(int64_t max_rows) override {
    FeedBatch batch;
    for (; max_rows > 0 && !at_end(); --max_rows, ++next_) {
      Prompt prompt;
      prompt.row = next_;
      prompt.text = tasks_[static_cast<size_t>(next_)].prompt;
      prompt.sampling = sampling_;
      add_requests(prompt, {0}, tokenizer_, setup_, batch);
    }
    return batch;
  }

 private:
  const std::vector<Task>& tasks_;
  const Tokenizer* tokenizer_;
  FeedSetup setup_;
  Sampling sampling_;
  int64_t next_ = 0;
};

class AnswerSink final : public RowSink {
 public:
  explicit AnswerSink(const std::vector<Task>& tasks)
      : outcomes(tasks.size(), TaskOutcome::kFailed), tasks_(tasks) {}

  void add(FinishedRow row) override {
    if (row.finish_reason == FinishReason::kError) {
      log_warning("task {}: {}", row.row, row.error);
      return;
    }
    const auto index = static_cast<size_t>(row.row);
    outcomes[index] =
        is_solved(tasks_[index], row.text) ? TaskOutcome::kSolved : TaskOutcome::kMissed;
  }
  void commit() override {}

  std::vector<TaskOutcome> outcomes;

 private:
  const std::vector<Task>& tasks_;
};

/// Rank 0's part.
std::vector<TaskOutcome> drive_tasks(const EvalWork& work, Share& share, const Plan& plan) {
  TaskFeed feed(work.job, work.tasks, work.input);
  AnswerSink sink(work.tasks);
  drive_requests(work.mpi, share,
                 {.job = work.job,
                  .plan = plan,
                  .feed = feed,
                  .sink = sink,
                  .tokenizer = work.input.tokenizer_or_null(),
                  .eos_token_ids = work.input.checkpoint->config().eos_token_ids});
  return std::move(sink.outcomes);
}

}  // namespace

void measure_tasks(const Job& job, const std::vector<Task>& tasks, Input& input) {
  CHECK(input.tokenizer, Exit::kModel, "{}: tasks need the model's tokenizer.json",
        job.model.string());
  TaskFeed feed(job, tasks, input);
  WorkloadLengths& lengths = input.lengths;
  lengths.rows += std::ssize(tasks);
  for (const Request& request : feed.read(std::ssize(tasks)).requests)
    lengths.longest_sequence = std::max(lengths.longest_sequence,
                                        std::ssize(request.prompt) + request.sampling.max_tokens);
}

std::vector<TaskOutcome> answer_tasks(const EvalWork& work, Share& share, const Plan& plan) {
  std::vector<TaskOutcome> outcomes;
  or_abort(work.mpi, [&] {
    Bell bell;
    if (work.mpi.rank() == 0)
      outcomes = drive_tasks(work, share, plan);
    else
      run_share(work.mpi, share, plan,
                {.bell = bell, .conductor = nullptr, .tick = {}, .timeline = nullptr});
  });
  return outcomes;
}

}  // namespace llmpq
