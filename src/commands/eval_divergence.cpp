#include "commands/eval_divergence.hpp"

#include <cstdlib>
#include <filesystem>

#include "base/file.hpp"
#include "base/log.hpp"
#include "commands/decide.hpp"
#include "kernels/check.hpp"
#include "layer/weights.hpp"
#include "pipeline/divergence.hpp"

namespace llmpq {
namespace {

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

int64_t scored_tokens(const std::vector<ScoreWindow>& windows) {
  int64_t tokens = 0;
  for (const ScoreWindow& window : windows)
    tokens += std::ssize(window.tokens) - window.scored_from;
  return tokens;
}

}  // namespace

void check_reference(const Job& job, const Input& input) {
  CHECK(!job.divergence || !input.checkpoint->stored(), Exit::kUsage,
        "{}: its weights are quantized already ({}): there is no unquantized model to compare "
        "with; leave out --divergence, or take the original model",
        job.model.string(), describe(*input.checkpoint->stored()));
}

Reference score_reference(const EvalWork& work) {
  const ModelConfig& config = work.input.checkpoint->config();
  const Job job = reference_job(work.job, config);
  const ReferenceInput as_reference(work, job);
  const Plan plan = reference_plan(work, job);
  Reference reference;
  work.mpi.agreed([&] {
    if (work.mpi.rank() != 0) return;
    const std::filesystem::path folder = temporary_folder();
    const int64_t rows = scored_tokens(work.windows);
    reference.logits.emplace(folder, rows, config.vocab);
    log_info("the unquantized model first: its logits wait in {} ({})", folder.string(),
             bytes_text(logits_file_bytes(rows, config.vocab)));
  });
  const auto keep = [&](size_t, std::span<const float> logits) {
    reference.logits->append(logits);
  };
  reference.scores = score_windows(work.mpi, {.job = job,
                                              .input = work.input,
                                              .machines = work.machines,
                                              .plan = plan,
                                              .windows = work.windows,
                                              .logits = {keep, config.vocab}});
  return reference;
}

LogitsWish compare_with(Reference& reference, std::vector<WindowDivergence>& divergence,
                        int64_t vocab) {
  const auto compare = [&reference, &divergence, vocab](size_t window,
                                                        std::span<const float> logits) {
    const auto width = static_cast<size_t>(vocab);
    const size_t rows = logits.size() / width;
    const std::vector<float> wanted = reference.logits->next(static_cast<int64_t>(rows));
    for (size_t row = 0; row < rows; ++row) {
      const Divergence found = divergence_of(std::span(wanted).subspan(row * width, width),
                                             logits.subspan(row * width, width));
      divergence[window].nats += found.nats;
      divergence[window].same_top += found.same_top;
    }
  };
  return {compare, vocab};
}

}  // namespace llmpq
