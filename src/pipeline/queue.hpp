// What the threads of a rank hand to each other: a queue with a lock, and a bell that wakes a
// thread which waits for any of several queues.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <utility>

namespace llmpq {

/// Wakes one waiting thread. A ring that comes before the wait is not lost.
class Bell {
 public:
  void ring() {
    {
      std::lock_guard lock(mutex_);
      rung_ = true;
    }
    condition_.notify_one();
  }
  /// Returns when the bell was rung since the last wait, or after `time`.
  void wait(std::chrono::microseconds time) {
    std::unique_lock lock(mutex_);
    condition_.wait_for(lock, time, [this] { return rung_; });
    rung_ = false;
  }

 private:
  std::mutex mutex_;
  std::condition_variable condition_;
  bool rung_ = false;
};

/// First in, first out; any thread pushes, any takes. Rings `bell` with every push if it has one.
template <typename T>
class Queue {
 public:
  explicit Queue(Bell* bell = nullptr) : bell_(bell) {}

  void push(T item) {
    {
      std::lock_guard lock(mutex_);
      items_.push_back(std::move(item));
    }
    if (bell_) bell_->ring();
  }
  std::optional<T> take() {
    std::lock_guard lock(mutex_);
    if (items_.empty()) return std::nullopt;
    std::optional<T> item(std::move(items_.front()));
    items_.pop_front();
    return item;
  }
  size_t size() const {
    std::lock_guard lock(mutex_);
    return items_.size();
  }

 private:
  mutable std::mutex mutex_;
  std::deque<T> items_;
  Bell* bell_;
};

}  // namespace llmpq
