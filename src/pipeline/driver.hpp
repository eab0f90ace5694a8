// Rank 0's side of the run: requests into the scheduler, its steps to the stages, returned tokens
// to their requests, finished rows to the I/O thread. Runs on the MPI thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/timer.hpp"
#include "input/tokenizer.hpp"
#include "pipeline/conductor.hpp"
#include "pipeline/io_thread.hpp"
#include "pipeline/links.hpp"
#include "pipeline/request.hpp"
#include "pipeline/stop_requests.hpp"
#include "schedule/scheduler.hpp"

namespace llmpq {

struct DriverSetup {
  SchedulerConfig scheduler;
  int64_t window = 4096;  ///< prompts that wait in the scheduler
  int32_t num_samples = 1;
  int32_t plan_index = 0;
  /// Tokens an output is expected to have, for the scheduler's reserve; 0 = half of max_tokens at
  /// first, then the mean of the finished rows (max_tokens of rows that ignore the ending tokens).
  int64_t expected_output_tokens = 0;
  double timeout_s = 300;  ///< no step comes back for so long: Error(kMpi)
  std::vector<int32_t> eos_token_ids;
  std::function<Stop()> stop;  ///< whether the run shall end early; empty: never
  /// Who keeps this step from coming back, for the sentence; empty: nobody knows.
  std::function<std::string(int64_t step)> blame;
};

struct DriverCounts {
  int64_t steps = 0, prefill_rows = 0, decode_rows = 0;
  int64_t output_tokens = 0;  ///< of all rows, finished or not
  int64_t preemptions = 0;
  double starved_s = 0;  ///< no prompt waited, though more were to come: the I/O thread was behind
};

class Driver : public Conductor {
 public:
  /// `tokenizer` may be null, see RunningRequest.
  Driver(const DriverSetup& setup, DriverLinks links, const Tokenizer* tokenizer, IoThread& io);

  bool poll() override;
  bool done() const override { return ended_ && sending_ == 0; }
  const DriverCounts& counts() const { return counts_; }

 private:
  void obey_stop();
  bool is_over() const;
  bool receive_results();
  bool admit();
  bool send_steps();
  void take(const StepResult& result);
  void start(Request request);
  void count_rows(const Step& step);
  int64_t expected_tokens(const Sampling& sampling) const;
  void check_time(bool moved);

  DriverSetup setup_;
  DriverLinks links_;
  const Tokenizer* tokenizer_;
  IoThread& io_;
  Scheduler scheduler_;
  std::unordered_map<int64_t, RunningRequest> running_;  ///< by sequence
  std::vector<ArrivedToken> arrived_;
  DriverCounts counts_;
  int64_t finished_rows_ = 0, finished_tokens_ = 0;
  Timer since_poll_;
  double stalled_s_ = 0;  ///< nothing moved for so long
  int sending_ = 0;
  Stop stop_ = Stop::kNo;
  bool ended_ = false;
};

}  // namespace llmpq
