#include "background.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "warp.hpp"

namespace llmpq::emulated {
namespace {

/// In no order; some may have been finished by those who wait for them. One grid runs at a time;
/// and what is thread-local is shared memory (shared_memory.hpp).
std::vector<std::shared_ptr<Work>> under_way;
/// Finished ones are taken out when there are more than so many.
size_t most = 1024;

}  // namespace

std::shared_ptr<Work> start_work(std::function<void()> run, const std::byte* writes) {
  auto work = std::make_shared<Work>(Work{std::move(run), writes});
  if (chance(4) == 0) {
    finish(*work);
    return work;
  }
  under_way.push_back(work);
  if (under_way.size() > most) {
    std::erase_if(under_way, [](const auto& other) { return other->done; });
    most = std::max<size_t>(1024, 2 * under_way.size());
  }
  return work;
}

void finish(Work& work) {
  if (std::exchange(work.done, true)) return;
  work.run();
}

bool do_some_work() {
  while (!under_way.empty()) {
    std::swap(under_way[chance(static_cast<uint32_t>(under_way.size()))], under_way.back());
    const std::shared_ptr<Work> work = std::move(under_way.back());
    under_way.pop_back();
    if (work->done) continue;
    finish(*work);
    return true;
  }
  return false;
}

void check_no_work_left(const std::byte* shared, size_t bytes) {
  const bool written = std::any_of(under_way.begin(), under_way.end(), [&](const auto& work) {
    return !work->done && work->writes >= shared && work->writes < shared + bytes;
  });
  if (written) fail("a block ended while a copy to its shared memory is under way");
}

}  // namespace llmpq::emulated
