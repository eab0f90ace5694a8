#include "background.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "warp.hpp"

namespace llmpq::emulated {
namespace {

/// Work in no order; some may have been finished by those who wait for it. One grid runs at a time;
/// and what is thread-local is shared memory (shared_memory.hpp).
class WorkList {
 public:
  void add(std::shared_ptr<Work> work) {
    list_.push_back(std::move(work));
    if (list_.size() <= most_) return;
    std::erase_if(list_, [](const auto& other) { return other->done; });
    most_ = std::max<size_t>(1024, 2 * list_.size());
  }
  /// Does one, chosen by chance; false if there is none.
  bool do_one() {
    while (!list_.empty()) {
      std::swap(list_[chance(static_cast<uint32_t>(list_.size()))], list_.back());
      const std::shared_ptr<Work> work = std::move(list_.back());
      list_.pop_back();
      if (work->done) continue;
      finish(*work);
      return true;
    }
    return false;
  }
  bool writes(const std::byte* memory, size_t bytes) const {
    return std::any_of(list_.begin(), list_.end(), [&](const auto& work) {
      return !work->done && work->writes >= memory && work->writes < memory + bytes;
    });
  }

 private:
  std::vector<std::shared_ptr<Work>> list_;
  size_t most_ = 1024;  ///< finished ones are taken out when there are more than so many
};

WorkList soon, late;

}  // namespace

std::shared_ptr<Work> start_work(std::function<void()> run, const std::byte* writes) {
  auto work = std::make_shared<Work>(Work{std::move(run), writes});
  const uint32_t luck = chance(4);
  if (luck == 0)
    finish(*work);
  else
    (luck == 1 ? soon : late).add(work);
  return work;
}

void finish(Work& work) {
  if (std::exchange(work.done, true)) return;
  work.run();
}

void do_work_by_chance() { soon.do_one(); }

bool do_work_that_is_waited_for() {
  const bool late_first = chance(2) == 0;
  return late_first ? late.do_one() || soon.do_one() : soon.do_one() || late.do_one();
}

void check_no_work_left(const std::byte* shared, size_t bytes) {
  if (soon.writes(shared, bytes) || late.writes(shared, bytes))
    fail("a block ended while a copy to its shared memory is under way");
}

}  // namespace llmpq::emulated
