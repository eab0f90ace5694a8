// The emulated GPU as device code sees it: who runs, how threads meet, and where a 32-bit address
// of shared memory lies. All threads of a grid are fibers of one OS thread: a thread runs until it
// waits for others, so nothing here needs atomics. Copies go on beside them (background.hpp). The
// instructions' twins are built on this.
#pragma once

#include <any>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <source_location>
#include <typeindex>
#include <utility>

namespace llmpq::emulated {

inline constexpr int kLanes = 32;

/// Of the running thread: 0..31, and which warp of its block.
int lane();
int warp();
/// Of the running thread's block in its cluster, and how many blocks that has (1 without one).
uint32_t cluster_rank();
uint32_t cluster_blocks();
/// Whether all threads of block `rank` of the cluster have ended: its shared memory is gone.
bool block_has_ended(uint32_t rank);

/// The emulated program is wrong: prints a sentence with the kernel, block and thread that run, and
/// ends the process (as a test's crash it cannot be overlooked).
[[noreturn]] [[gnu::format(printf, 1, 2)]] void fail(const char* format, ...);

/// Lets other threads run until predicate() holds. All waiting and nobody able to run is fail().
/// `what` names it there: "mbarrier".
void wait_for(const std::function<bool()>& predicate, const char* what = "a condition");

/// griddepcontrol.wait: until the kernel before this one in the stream has ended.
void wait_for_kernel_before();

/// 0 .. below - 1 from the seed that also decides the order of threads.
uint32_t chance(uint32_t below);

/// All threads of the block that have not ended, at the same place in the program.
void block_barrier(std::source_location where = std::source_location::current());
/// The same, and the sum over the threads of `value`.
int block_sum(int value, std::source_location where = std::source_location::current());
/// All threads of all blocks of the cluster.
void cluster_barrier(std::source_location where = std::source_location::current());

// 32-bit addresses of shared memory: bits 24..31 are the block's rank in its cluster, the rest
// counts bytes. Dynamic shared memory begins at kDynamicAt, so that all of it is below 2^18 as in
// wgmma's descriptors; static variables follow at kStaticAt. A block's own addresses are those of
// its rank: what shared::cta yields may be used as shared::cluster, as on a GPU.
inline constexpr uint32_t kDynamicAt = 1024;
inline constexpr uint32_t kStaticAt = 1u << 18;
inline constexpr int kRankAt = 24;

/// The begin of the running block's dynamic shared memory, a multiple of 1024.
std::byte* dynamic_shared();
/// Of a pointer into the running block's shared memory; anything else is fail().
uint32_t shared_address(const void* pointer);
/// Where `bytes` of shared memory at an address lie, of whichever block of the cluster; outside the
/// memory that the block was launched with is fail().
void* shared_memory(uint32_t address, size_t bytes);
/// mapa: the same place in block `rank` of the cluster.
uint32_t address_in_block(uint32_t address, uint32_t rank);

enum class Of { kThread, kWarp, kBlock };
namespace detail {
std::any& state(Of of, std::type_index type);
}
/// A T of the running thread, its warp or its block: T{} at first use, gone with whom it is of.
template <typename T>
T& state(Of of) {
  std::any& mine = detail::state(of, typeid(T));
  if (!mine.has_value()) mine = T{};
  return *std::any_cast<T>(&mine);
}

namespace detail {
struct Meeting {
  const void* in[kLanes];
  void* out[kLanes];
};
/// Waits for all lanes of the mask. The last one gets the meeting, to work and then to call
/// end_meeting(); the others return nullptr after that.
Meeting* meet(unsigned mask, const void* in, void* out, const char* what);
void end_meeting(Meeting* meeting);
}  // namespace detail

/// All lanes in `mask` call; the last to arrive runs work(in, out) once, on arrays of 32 pointers:
/// `const In* const (&in)[32], Out* const (&out)[32]`, null for lanes outside the mask. Returns
/// this lane's Out, which was Out{} before. `what` must be the same for all that meet: "shfl".
template <typename Out, typename In, typename Work>
Out with_warp(unsigned mask, const In& mine, Work work, const char* what = "a warp's operation") {
  Out result{};
  if (detail::Meeting* const meeting = detail::meet(mask, &mine, &result, what)) {
    const In* in[kLanes];
    Out* out[kLanes];
    for (int i = 0; i < kLanes; ++i) {
      in[i] = static_cast<const In*>(meeting->in[i]);
      out[i] = static_cast<Out*>(meeting->out[i]);
    }
    work(std::as_const(in), std::as_const(out));
    detail::end_meeting(meeting);
  }
  return result;
}

}  // namespace llmpq::emulated
