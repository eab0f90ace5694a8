#include "stage/timed_ops.hpp"

#include "base/timer.hpp"

namespace llmpq {
namespace {

/// What the calls of this thread go to: operations are plain functions and carry no state.
struct Watch {
  const Ops* ops = nullptr;
  std::vector<TimedOp>* list = nullptr;
};
thread_local Watch watch;

enum class Name {
  kEmbed,
  kNorm,
  kHeadNorm,
  kAdd,
  kRope,
  kLinear,
  kActivation,
  kKvWrite,
  kAttention,
  kGather,
  kAddRows,
  kRoute,
  kSample,
  kScore
};
constexpr const char* kNames[] = {"embed",    "norm",       "head_norm", "add",       "rope",
                                  "linear",   "activation", "kv_write",  "attention", "gather",
                                  "add_rows", "route",      "sample",    "score"};

template <Name name, typename Args, void (*Ops::*operation)(Context&, const Args&)>
void timed(Context& context, const Args& args) {
  const double begin_s = steady_seconds();
  (watch.ops->*operation)(context, args);
  watch.list->push_back({kNames[static_cast<size_t>(name)], begin_s, steady_seconds()});
}

constexpr Ops kTimed = {
    .embed = timed<Name::kEmbed, EmbedArgs, &Ops::embed>,
    .norm = timed<Name::kNorm, NormArgs, &Ops::norm>,
    .head_norm = timed<Name::kHeadNorm, HeadNormArgs, &Ops::head_norm>,
    .add = timed<Name::kAdd, AddArgs, &Ops::add>,
    .rope = timed<Name::kRope, RopeArgs, &Ops::rope>,
    .linear = timed<Name::kLinear, LinearArgs, &Ops::linear>,
    .activation = timed<Name::kActivation, ActivationArgs, &Ops::activation>,
    .kv_write = timed<Name::kKvWrite, KvWriteArgs, &Ops::kv_write>,
    .attention = timed<Name::kAttention, AttentionArgs, &Ops::attention>,
    .gather_rows = timed<Name::kGather, GatherRowsArgs, &Ops::gather_rows>,
    .add_rows = timed<Name::kAddRows, AddRowsArgs, &Ops::add_rows>,
    .route = timed<Name::kRoute, RouteArgs, &Ops::route>,
    .sample = timed<Name::kSample, SampleArgs, &Ops::sample>,
    .score = timed<Name::kScore, ScoreArgs, &Ops::score>,
    .input_type = [](Context& context,
                     const LinearArgs& args) { return watch.ops->input_type(context, args); },
};

}  // namespace

const Ops& timed_ops(const Ops& ops, std::vector<TimedOp>& list) {
  watch = {&ops, &list};
  return kTimed;
}

}  // namespace llmpq
