#include "background.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "warp.hpp"

namespace llmpq::emulated {
namespace {

/// Done ones are taken out when one is chosen. One grid runs at a time; and what is thread-local is
/// shared memory (shared_memory.hpp).
std::vector<std::shared_ptr<Work>> under_way;

}  // namespace

std::shared_ptr<Work> start_work(std::function<void()> run, const std::byte* writes) {
  auto work = std::make_shared<Work>(Work{std::move(run), writes});
  if (chance(4) == 0)
    finish(*work);
  else
    under_way.push_back(work);
  return work;
}

void finish(Work& work) {
  if (std::exchange(work.done, true)) return;
  work.run();
}

bool do_some_work() {
  std::erase_if(under_way, [](const auto& work) { return work->done; });
  if (under_way.empty()) return false;
  finish(*under_way[chance(static_cast<uint32_t>(under_way.size()))]);
  return true;
}

void check_no_work_left(const std::byte* shared, size_t bytes) {
  const bool written = std::any_of(under_way.begin(), under_way.end(), [&](const auto& work) {
    return !work->done && work->writes >= shared && work->writes < shared + bytes;
  });
  if (written) fail("a block ended while a copy to its shared memory is under way");
}

}  // namespace llmpq::emulated
