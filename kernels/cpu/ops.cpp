// The operations without a matrix product: each spreads its independent items over the threads.
#include "kernels/ops.hpp"

#include <algorithm>
#include <cassert>

#include "kernels/cpu/context.hpp"
#include "kernels/cpu/linear.hpp"
#include "kernels/cpu/route.hpp"
#include "kernels/cpu/sample.hpp"

namespace llmpq {
namespace {

/// Elements that are worth a second thread: a few microseconds of work.
constexpr int64_t kElementsPerChunk = 16384;

/// Rows of `width` elements that one chunk should have.
int64_t rows_per_chunk(int64_t width) {
  return std::max<int64_t>(1, kElementsPerChunk / std::max<int64_t>(1, width));
}

/// kernel(args, begin, end) over `items` rows of `width` elements.
template <typename Args>
void spread(Context& context, void (*kernel)(const Args&, int64_t, int64_t), const Args& args,
            int64_t items, int64_t width) {
  cpu(context).pool().parallel_for(
      items, rows_per_chunk(width),
      [&](int64_t begin, int64_t end, int) { kernel(args, begin, end); });
}

void embed(Context& context, const EmbedArgs& args) {
  spread(context, cpu(context).kernels().embed, args, args.tokens, args.hidden);
}

void norm(Context& context, const NormArgs& args) {
  assert(args.rounded.type == DType::kF32);
  spread(context, cpu(context).kernels().norm, args, args.tokens, args.hidden);
}

void head_norm(Context& context, const HeadNormArgs& args) {
  spread(context, cpu(context).kernels().head_norm, args, args.tokens, args.heads * args.head_dim);
}

void add(Context& context, const AddArgs& args) {
  spread(context, cpu(context).kernels().add, args, args.count, 1);
}

void rope(Context& context, const RopeArgs& args) {
  assert(args.rotary % 2 == 0 && args.rotary <= args.head_dim);
  spread(context, cpu(context).kernels().rope, args, args.tokens, args.heads * args.rotary);
}

void activation(Context& context, const ActivationArgs& args) {
  assert(!args.gated || args.x != args.y);
  assert(args.rounded.type == DType::kF32);
  spread(context, cpu(context).kernels().activation, args, args.tokens, 4 * args.width);
}

void gather_rows(Context& context, const GatherRowsArgs& args) {
  spread(context, cpu(context).kernels().gather_rows, args, args.rows, args.width);
}

void add_rows(Context& context, const AddRowsArgs& args) {
  spread(context, cpu(context).kernels().add_rows, args, args.rows, args.width);
}

void kv_write(Context& context, const KvWriteArgs& args) {
  const int64_t grain = rows_per_chunk(2 * args.cache->kv_heads * args.cache->head_dim);
  for (int64_t i = 0; i < args.ranges.count; ++i) {
    const RowRange& range = args.ranges.list[i];
    cpu(context).pool().parallel_for(range.rows, grain, [&](int64_t begin, int64_t end, int) {
      cpu(context).kernels().kv_write(args, range, begin, end);
    });
  }
}

/// Rows of a range in pieces of attention_rows(), for every KV head; the longest contexts first, so
/// that no thread is left alone with one at the end.
int64_t fill_items(const AttentionArgs& args, AttentionItem* items) {
  const auto most = static_cast<int32_t>(attention_rows(args.heads / args.cache->kv_heads));
  int64_t count = 0;
  for (int64_t i = 0; i < args.ranges.count; ++i) {
    const RowRange& range = args.ranges.list[i];
    for (int32_t row = 0; row < range.rows; row += most) {
      const int32_t rows = std::min(range.rows - row, most);
      for (int32_t head = 0; head < args.cache->kv_heads; ++head)
        items[count++] = {range.begin + row, rows, range.position + row, range.table, head};
    }
  }
  if (count > args.cache->kv_heads)
    std::stable_sort(items, items + count, [](const AttentionItem& a, const AttentionItem& b) {
      return a.position > b.position;
    });
  return count;
}

int64_t count_items(const AttentionArgs& args) {
  const int64_t most = attention_rows(args.heads / args.cache->kv_heads);
  int64_t count = 0;
  for (int64_t i = 0; i < args.ranges.count; ++i)
    count += (args.ranges.list[i].rows + most - 1) / most * args.cache->kv_heads;
  return count;
}

void attention(Context& context, const AttentionArgs& args) {
  assert(args.heads % args.cache->kv_heads == 0);
  assert(args.rounded.type == DType::kF32);
  CpuContext& on = cpu(context);
  const int64_t per_thread = (attention_scratch_floats(args) + 15) / 16 * 16;
  const int64_t floats_bytes = per_thread * on.pool().threads() * int64_t{sizeof(float)};
  const int64_t items_bytes = count_items(args) * int64_t{sizeof(AttentionItem)};
  std::byte* scratch = on.scratch(floats_bytes + items_bytes);
  float* const floats = reinterpret_cast<float*>(scratch);
  auto* const items = reinterpret_cast<AttentionItem*>(scratch + floats_bytes);
  const int64_t count = fill_items(args, items);
  on.pool().parallel_for(count, 1, [&](int64_t begin, int64_t end, int thread) {
    for (int64_t i = begin; i < end; ++i)
      on.kernels().attention(args, items[i], floats + thread * per_thread,
                             on.pool().lines_ahead(thread));
  });
}

/// A product rounds its inputs while they are in the caches, to what its instructions need.
DType input_type(Context& /*context*/, const LinearArgs& /*args*/) { return DType::kF32; }

}  // namespace

const Ops& cpu_ops() {
  static constexpr Ops kOps = {
      .embed = embed,
      .norm = norm,
      .head_norm = head_norm,
      .add = add,
      .rope = rope,
      .linear = linear,
      .activation = activation,
      .kv_write = kv_write,
      .attention = attention,
      .gather_rows = gather_rows,
      .add_rows = add_rows,
      .route = route,
      .sample = sample,
      .score = score,
      .input_type = input_type,
  };
  return kOps;
}

}  // namespace llmpq
