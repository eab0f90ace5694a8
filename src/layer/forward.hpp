// One decoder layer on the token rows of a step: the unit of planning, timing and execution.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "layer/memory.hpp"
#include "layer/observer.hpp"
#include "layer/weights.hpp"

namespace llmpq {

/// The token rows of a step in host memory. Consecutive rows of one sequence are a range.
struct Rows {
  std::vector<int32_t> tokens;     ///< [rows] ids; read by the embedding only
  std::vector<int32_t> positions;  ///< [rows]
  std::vector<RowRange> ranges;
  std::vector<int32_t> block_table;  ///< of all ranges, see RowRange::table
  std::vector<int32_t> sampled;      ///< [samples] rows whose next token is wanted, ascending
  int64_t count() const { return static_cast<int64_t>(tokens.size()); }
};

/// The same rows as the layers see them: pointers into the backend's memory.
struct RowsView {
  const int32_t* tokens;
  const int32_t* positions;
  const int32_t* sampled;
  RangeList ranges;
  int64_t count, samples;
};

/// The place where the rows of a step lie for a backend: staging memory that the host fills and
/// device memory that it is copied to, both made once for the largest step.
class RowsOnDevice {
 public:
  /// `kv_blocks`: the block tables of a step have at most so many entries together.
  RowsOnDevice(const Sizes& sizes, int64_t kv_blocks, Backend& backend);
  /// Queues the copy; the view is valid until the next call. The work queued before the last
  /// synchronize() must be all that still reads the staging memory.
  RowsView upload(const Rows& rows, Context& context);
  int64_t bytes() const { return device_.bytes(); }

 private:
  Backend& backend_;
  Buffer staging_, device_;
};

/// The K and V of one layer over all blocks of a pipeline, and the view that the ops take.
struct LayerKv {
  Buffer memory;
  KvCache view;
};
LayerKv allocate_kv(const ModelConfig& config, const Sizes& sizes, int64_t blocks,
                    Backend& backend);

/// Which rows go to which expert: see RouteArgs.
struct Routes {
  int32_t* expert = nullptr;       ///< [max_rows, experts_per_token]
  float* row_weight = nullptr;     ///< [max_rows, experts_per_token]
  int32_t* row = nullptr;          ///< [max_rows * experts_per_token]
  float* weight = nullptr;         ///< [max_rows * experts_per_token]
  int32_t* begin = nullptr;        ///< [experts + 1]
  std::vector<int32_t> on_host{};  ///< [experts + 1] the same in host memory
};

/// Buffers that all layers of a stage share, allocated once: exactly workspace_bytes(). `normed`,
/// `attended` and `gated` have rounded rows at their begin where their product takes such.
struct Workspace {
  Workspace(const ModelConfig& config, const Sizes& sizes, bool first, bool last, Backend& backend);
  Buffer memory;
  float* hidden;     ///< [max_rows, hidden] the residual stream
  float* normed;     ///< [max_rows, hidden]
  float* qkv;        ///< [max_rows, qkv_rows]
  float* attended;   ///< [max_rows, heads * head_dim]
  float* projected;  ///< [max_rows, hidden]
  float* up;         ///< [max_rows, up_rows]
  float* gated;      ///< [max_rows, ffn]; `up` itself unless the model is gated
  float* gathered;   ///< [max_rows, hidden], rows of one expert; nullptr without experts
  float* router;     ///< [max_rows, experts] or nullptr
  Routes routes;     ///< empty without experts
  float* cosine;     ///< [max_model_len, rotary / 2], nullptr without rope
  float* sine;
  float* alibi;           ///< [heads] or nullptr
  float* last_hidden;     ///< [max_samples, hidden], the last stage only
  float* projected_last;  ///< [max_samples, projected_width], the last stage only, or nullptr
  float* logits;          ///< [max_samples, vocab], the last stage only
};

/// Where a layer runs: nothing of it changes from step to step.
struct LayerRun {
  const ModelConfig& config;
  const Ops& ops;
  Context& context;
  ActivationType activation;
  Workspace& workspace;
  LayerObserver* observer = nullptr;  ///< sees the layers' matrix products; may be null
};

/// hidden = layer(hidden) for all rows, K and V written to the cache on the way. `layer` is the
/// model's own index (sliding windows differ by layer). In place on workspace.hidden.
void forward_layer(const LayerRun& run, const LayerWeights& weights, const KvCache& cache,
                   int64_t layer, const RowsView& rows);

/// Rows that were routed to an expert of a layer, gathered in workspace.gathered.
struct ExpertRows {
  int64_t layer;
  int64_t expert;
  int64_t count;
  const float* weight = nullptr;  ///< for the observer: ProductRun::weight
};
/// workspace.projected = expert(workspace.gathered): its part of forward_layer(), for who wants it
/// alone.
void forward_expert(const LayerRun& run, const Expert& expert, const ExpertRows& rows);

/// workspace.hidden = embedding of rows.tokens (learned positions and norm included).
void forward_embedding(const LayerRun& run, const EmbeddingWeights& weights, const RowsView& rows);

/// What the head's matrix multiplies, of each of `rows` rows of workspace.hidden, which is kept:
/// [rows, embedding_columns], in the workspace.
const float* head_inputs(const LayerRun& run, const HeadWeights& weights, int64_t rows);

/// workspace.logits [samples, vocab] of rows.sampled, from workspace.hidden.
void forward_head(const LayerRun& run, const HeadWeights& weights, const RowsView& rows);

}  // namespace llmpq
