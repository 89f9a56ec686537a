#include "storage/log_index.h"

#include <algorithm>

namespace cookix::storage {

void LogIndex::Add(uint64_t commit, uint64_t sequence, uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  if (!entries_.empty() && commit < entries_.back().commit + kEvery && bytes_since_ < kEveryBytes) {
    bytes_since_ += bytes;
    return;
  }
  bytes_since_ = bytes;
  entries_.push_back({commit, sequence});
  if (entries_.size() > kMaxEntries) {
    size_t kept = 0;
    for (size_t i = 0; i < entries_.size(); i += 2) entries_[kept++] = entries_[i];
    entries_.resize(kept);
  }
}

void LogIndex::AddAlways(uint64_t commit, uint64_t sequence) {
  const std::lock_guard lock(mutex_);
  while (!entries_.empty() && entries_.back().commit >= commit) entries_.pop_back();
  entries_.push_back({commit, sequence});
  bytes_since_ = 0;
}

bool LogIndex::Find(uint64_t commit, uint64_t* sequence) const {
  const std::lock_guard lock(mutex_);
  auto after = std::upper_bound(entries_.begin(), entries_.end(), commit,
                                [](uint64_t c, const Entry& entry) { return c < entry.commit; });
  if (after == entries_.begin()) return false;
  *sequence = std::prev(after)->sequence;
  return true;
}

}  // namespace cookix::storage
