#include "commands/share.hpp"

#include <fmt/core.h>
#include <malloc.h>

#include <algorithm>
#include <cstdio>

#include "base/file.hpp"
#include "base/log.hpp"
#include "base/process_memory.hpp"
#include "base/timer.hpp"
#include "commands/arithmetic.hpp"
#include "commands/calibration.hpp"
#include "commands/emulation.hpp"
#include "kernels/check.hpp"
#include "pipeline/run.hpp"

namespace llmpq {
namespace {

/// The stage that the plan gives to a rank.
std::optional<size_t> stage_of(const Plan& plan, int rank) {
  const auto& stages = plan.pipelines.at(0).stages;
  for (size_t i = 0; i < stages.size(); ++i)
    if (stages[i].ranks.at(0) == rank) return i;
  return std::nullopt;
}

LinkChoice link_of(const Job& job, const Machines& machines, const Plan& plan) {
  std::vector<LinkedStage> stages;
  for (const StagePlan& stage : plan.pipelines.at(0).stages) {
    const RankReport& rank = machines.inventory.at(static_cast<size_t>(stage.ranks.at(0)));
    stages.push_back({rank.rank, rank.backend, rank.uuid, rank.why_no_links});
  }
  return choose_link(job.link, stages);
}

void tell_memory(const HostMemory& predicted, int64_t measured) {
  log_debug(
      "anonymous memory: {} predicted, {} at most while running; program {}, stage {}, staging {}, "
      "scratch {}, messages {}, threads {}, driver {}",
      bytes_text(predicted.total()), bytes_text(measured), bytes_text(predicted.program),
      bytes_text(predicted.stage), bytes_text(predicted.staging), bytes_text(predicted.scratch),
      bytes_text(predicted.messages), bytes_text(predicted.threads), bytes_text(predicted.driver));
}

StageSetup stage_setup(const ShareSetup& from, size_t index) {
  const Plan& plan = from.plan;
  return {.plan = plan.pipelines[0].stages[index],
          .head_format = plan.head_format,
          .sizes = stage_sizes(plan, from.input.max_model_len, from.input.kv_type),
          .kv_blocks = plan.kv_blocks,
          .activation = from.job.activation_dtype,
          .before_layer = from.before_layer};
}

/// This rank's stage with its layers; leaves `share` as it is on a rank without one.
/// `state`: where the texts of gptq stand in front of its layers, and then behind them; or null.
void load_stage(const Mpi& mpi, const ShareSetup& from, Share& share, CalibrationState* state) {
  const Plan& plan = from.plan;
  const auto index = stage_of(plan, mpi.rank());
  if (!index) return;
  share.index = *index;
  share.context = from.machines.backend->make_context();
  StageSetup setup = stage_setup(from, *index);
  const ModelConfig& config = from.input.checkpoint->config();
  Backend& backend = *from.machines.backend;
  malloc_trim(0);  // what planning and, below, reading took goes back: the rest is what stays
  const int64_t program_bytes = anonymous_bytes();
  std::optional<Calibration> calibration;
  if (state) {
    calibration.emplace(CalibrationSetup{.checkpoint = *from.input.checkpoint,
                                         .end_layer = end_of_integers(plan),
                                         .max_model_len = from.input.max_model_len,
                                         .threads = from.machines.report().threads},
                        std::move(*state), backend);
    setup.calibration = &*calibration;
  }
  share.stage.emplace(setup, *from.input.checkpoint, backend, *share.context);
  if (state) *state = calibration->take_state();
  calibration.reset();
  malloc_trim(0);
  if (backend.kind() == BackendKind::kCpu)
    share.memory = predict_host_memory(setup, config, program_bytes, share.stage->bytes(),
                                       from.machines.report().threads);
  if (share.memory.stage > 0 && mpi.rank() == 0) share.memory.driver = kDriverBytes;
  if (const auto emulated = load_emulated(from.machines, config))
    share.clock.emplace(*emulated, setup, config, backend);
}

/// Collective: whether emulated times will hold.
void check_clocks(const Mpi& mpi, const Machines& machines, Share& share) {
  std::optional<double> cores;
  mpi.agreed([&] {
    if (!share.stage) cores = 0;
    if (share.clock && !machines.mine().profile.empty()) cores = share.clock->cores(*share.stage);
  });
  check_needs(mpi, machines, cores);
}

/// Collective: device links between neighbours, if they were chosen.
void connect(const Mpi& mpi, const ShareSetup& from, Share& share) {
  if (share.link.kind != LinkKind::kNccl) return;
  const Sizes sizes = stage_sizes(from.plan, from.input.max_model_len, from.input.kv_type);
  StagePorts ports =
      make_stage_ports(mpi, from.plan.pipelines[0], share.stage ? &share.index : nullptr,
                       sizes.max_rows * from.input.checkpoint->config().hidden,
                       static_cast<double>(from.job.timeout), *from.machines.backend);
  if (share.stage) share.stage->connect(std::move(ports));
}

}  // namespace

Share load_share(const Mpi& mpi, const ShareSetup& setup) {
  const Plan& plan = setup.plan;
  Share share;
  const Timer timer;
  mpi.agreed([&] { share.link = link_of(setup.job, setup.machines, plan); });
  if (mpi.rank() == 0)
    log_info("activations travel over {}: {}", name(share.link.kind), share.link.reason);
  const auto load = [&](CalibrationState* state) {
    naming_this_rank(mpi, [&] { load_stage(mpi, setup, share, state); });
  };
  if (is_calibrated(setup.job, plan))
    load_in_turn(mpi, plan, setup.input,
                 {.check =
                      [&](const CalibrationState& state) {
                        check_calibration_fits(stage_setup(setup, *stage_of(plan, mpi.rank())),
                                               setup.input.checkpoint->config(), state,
                                               setup.machines.report());
                      },
                  .load = load});
  else
    mpi.agreed_on_long([&] { load(nullptr); });
  check_clocks(mpi, setup.machines, share);
  or_abort(mpi, [&] { connect(mpi, setup, share); });
  share.arithmetic = gather_arithmetic(
      mpi, share.stage ? arithmetic_class(*setup.machines.backend, plan, setup.job.activation_dtype)
                       : "");
  share.load_s = mpi.max(timer.seconds());
  if (share.stage)
    log_info("stage {} is loaded: layers [{}, {}), {}", share.index,
             plan.pipelines[0].stages[share.index].layer_begin,
             plan.pipelines[0].stages[share.index].layer_end, bytes_text(share.stage->bytes()));
  else
    log_info("this rank has no stage in the plan and idles");
  return share;
}

void run_share(const Mpi& mpi, Share& share, const Plan& plan, const RunSetup& setup) {
  std::optional<Worker> worker;
  if (share.stage)
    worker.emplace(
        *share.stage, share.index,
        make_stage_links(mpi, plan.pipelines[0], share.index, share.link.kind == LinkKind::kNccl),
        setup.bell, setup.timeline, share.clock ? &*share.clock : nullptr);
  const bool tells_memory = share.memory.stage > 0 && is_logged(LogLevel::kDebug);
  AnonymousPeak peak;
  const auto tick = [&](const Activity& mine) {
    if (tells_memory) peak.look();
    if (setup.tick) setup.tick(mine);
  };
  // Here, while the worker is alive: its end would wait for a step that may never end.
  or_abort(
      mpi,
      [&] {
        run_loop(worker ? &*worker : nullptr, setup.conductor, setup.bell, mpi.size() == 1, tick);
      },
      setup.on_error);
  worker.reset();  // ends the thread that counts
  if (share.clock) tell_overruns(share.clock->counts());
  if (!tells_memory) return;
  peak.look();
  tell_memory(share.memory, peak.bytes());
}

void or_abort(const Mpi& mpi, const std::function<void()>& work,
              const std::function<void(Exit)>& on_error) {
  Exit code = Exit::kInternal;
  std::string sentence;
  try {
    work();
    return;
  } catch (const Error& error) {
    code = error.code();
    sentence = error.what();
  } catch (const std::exception& error) {
    sentence = error.what();
  }
  print_error(fmt::format("rank {} on {}: {}", mpi.rank(), mpi.host(), sentence));
  if (on_error) on_error(code);
  mpi.abort(code);
}

}  // namespace llmpq
