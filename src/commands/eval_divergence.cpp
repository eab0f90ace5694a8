#include "commands/eval_divergence.hpp"

#include <cstdlib>
#include <filesystem>
#include <string>

#include "base/file.hpp"
#include "base/log.hpp"
#include "base/pieces.hpp"
#include "commands/decide.hpp"
#include "kernels/check.hpp"
#include "layer/weights.hpp"
#include "pipeline/divergence.hpp"

namespace llmpq {
namespace {

constexpr int kTag = 10;  ///< calibration has 9

/// The job without anything that loses quality; f32 that it asks for stays.
Job reference_job(const Job& job, const ModelConfig& config) {
  Job reference = scoring_job(job, {format_16bit(config)});
  reference.head_format.reset();
  reference.layers_per_stage.clear();
  reference.kv_blocks.reset();
  if (reference.activation_dtype != ActivationType::kF32) reference.activation_dtype.reset();
  if (reference.kv_cache_dtype != DType::kF32) reference.kv_cache_dtype.reset();
  return reference;
}

/// The input as the reference's plan and stages see it, while this lives.
class ReferenceInput {
 public:
  ReferenceInput(const EvalWork& work, const Job& job)
      : input_(work.input), lengths_(input_.lengths), kv_type_(input_.kv_type) {
    measure_windows(work.windows, input_);
    input_.kv_type = kv_cache_type(job, input_.checkpoint->config());
  }
  ~ReferenceInput() {
    input_.lengths = std::move(lengths_);
    input_.kv_type = kv_type_;
  }
  ReferenceInput(const ReferenceInput&) = delete;
  ReferenceInput& operator=(const ReferenceInput&) = delete;

 private:
  Input& input_;
  WorkloadLengths lengths_;
  DType kv_type_;
};

Plan reference_plan(const EvalWork& work, const Job& job) {
  try {
    return decide(work.mpi, job, work.input, work.machines).plan;
  } catch (const Error& error) {
    if (error.code() != Exit::kNoPlan) throw;
    fail(Exit::kNoPlan,
         "--divergence runs the unquantized model first, and that does not fit into the ranks' "
         "memory: {}; give it more ranks, or leave --divergence out",
         error.what());
  }
}

std::filesystem::path temporary_folder() {
  std::error_code error;
  auto folder = std::filesystem::temp_directory_path(error);
  CHECK(!error, Exit::kOutput, "no folder for temporary files: TMPDIR {}: {}",
        std::getenv("TMPDIR") ? std::getenv("TMPDIR") : "/tmp", error.message());
  return folder;
}

/// Rank 0's count of what is scored, on every rank. Collective.
int64_t scored_tokens(const EvalWork& work) {
  int64_t tokens = 0;
  for (const ScoreWindow& window : work.windows)
    tokens += std::ssize(window.tokens) - window.scored_from;
  return std::stoll(work.mpi.broadcast(std::to_string(tokens)));
}

/// The rank that has the logits.
int last_rank(const Plan& plan) { return plan.pipelines.at(0).stages.back().ranks.at(0); }

/// What this rank's disk refuses is told with rank and host: each has folders of its own.
LogitsFile make_file(const Mpi& mpi, int64_t rows, int64_t vocab) {
  try {
    return {temporary_folder(), rows, vocab};
  } catch (const Error& error) {
    fail(error.code(), "rank {} on {}: {}", mpi.rank(), mpi.host(), error.what());
  }
}

/// Files on the ranks that will write one: before anything is computed, so that a disk without room
/// is told at once. Collective.
std::optional<LogitsFile> make_files(const EvalWork& work, int first, int then) {
  const int64_t rows = scored_tokens(work), vocab = work.input.checkpoint->config().vocab;
  std::optional<LogitsFile> file;
  work.mpi.agreed([&] {
    const int rank = work.mpi.rank();
    if (rank != first && rank != then) return;
    file.emplace(make_file(work.mpi, rows, vocab));
    if (rank == first)
      log_info("the unquantized model first: its logits wait in {} ({})", file->folder().string(),
               bytes_text(logits_file_bytes(rows, vocab)));
  });
  return file;
}

class Keeper : public LogitsObserver {
 public:
  explicit Keeper(LogitsFile& file) : file_(file) {}
  void see_logits(std::span<const float> logits, StepResult&) override {
    file_.append(std::as_bytes(logits));
  }

 private:
  LogitsFile& file_;
};

/// From one rank's disk to another's.
void move_logits(const Mpi& mpi, int from, int to, std::optional<LogitsFile>& file) {
  if (from == to) return;
  or_abort(mpi, [&] {
    if (mpi.rank() == from) {
      send_pieces(mpi, to, kTag, file->bytes(),
                  [&](int64_t begin, std::span<std::byte> piece) { file->read(begin, piece); });
      file.reset();
    }
    if (mpi.rank() == to)
      receive_pieces(mpi, from, kTag, file->bytes(),
                     [&](int64_t, std::span<const std::byte> piece) { file->append(piece); });
  });
}

}  // namespace

void check_reference(const Job& job, const Input& input) {
  CHECK(!job.divergence || !input.checkpoint->stored(), Exit::kUsage,
        "{}: its weights are quantized already ({}): there is no unquantized model to compare "
        "with; leave out --divergence, or take the original model",
        job.model.string(), describe(*input.checkpoint->stored()));
}

Reference score_reference(const EvalWork& work, const Plan& judged) {
  const Mpi& mpi = work.mpi;
  const Job job = reference_job(work.job, work.input.checkpoint->config());
  const ReferenceInput as_reference(work, job);
  const Plan plan = reference_plan(work, job);
  const int from = last_rank(plan), to = last_rank(judged);
  Reference reference;
  reference.logits = make_files(work, from, to);
  std::optional<Keeper> keeper;
  if (mpi.rank() == from) keeper.emplace(*reference.logits);
  reference.scores = score_windows(mpi, {.job = job,
                                         .input = work.input,
                                         .machines = work.machines,
                                         .plan = plan,
                                         .windows = work.windows,
                                         .logits_observer = keeper ? &*keeper : nullptr});
  move_logits(mpi, from, to, reference.logits);
  return reference;
}

Comparison::Comparison(const LogitsFile& reference, int threads)
    : reference_(reference), pool_(threads), wanted_(static_cast<size_t>(pool_.threads())) {}

void Comparison::see_logits(std::span<const float> logits, StepResult& result) {
  const auto vocab = static_cast<size_t>(reference_.vocab());
  const size_t rows = logits.size() / vocab, before = result.divergences.size();
  result.divergences.resize(before + rows);
  result.same_tops.resize(before + rows);
  pool_.parallel_for(static_cast<int64_t>(rows), 1, [&](int64_t begin, int64_t end, int thread) {
    std::vector<float>& wanted = wanted_[static_cast<size_t>(thread)];
    wanted.resize(vocab);
    for (auto row = static_cast<size_t>(begin); row < static_cast<size_t>(end); ++row) {
      reference_.read_row(next_row_ + static_cast<int64_t>(row), wanted);
      const Divergence found = divergence_of(wanted, logits.subspan(row * vocab, vocab));
      result.divergences[before + row] = found.nats;
      result.same_tops[before + row] = found.same_top;
    }
  });
  next_row_ += static_cast<int64_t>(rows);
}

}  // namespace llmpq
