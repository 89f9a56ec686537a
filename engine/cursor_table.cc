#include "engine/cursor_table.h"

#include <random>

#include "absl/strings/escaping.h"
#include "storage/base/coding.h"
#include "storage/base/status.h"

namespace cookix::engine {

CursorTable::CursorTable(int64_t keep_ms, int64_t max_cursors)
    // Starts at random, so that a token of an earlier process means nothing.
    : keep_ms_(keep_ms), max_cursors_(max_cursors) {
  std::random_device random;
  next_id_ = (static_cast<uint64_t>(random()) << 32 | random()) >> 1 | 1;
}

void CursorTable::ForgetOld(Clock::time_point now) {
  while (!by_use_.empty()) {
    auto it = entries_.find(by_use_.front());
    const bool old = now - it->second.used > std::chrono::milliseconds(keep_ms_);
    if (!old && static_cast<int64_t>(entries_.size()) <= max_cursors_) return;
    by_use_.pop_front();
    entries_.erase(it);
  }
}

absl::StatusOr<CursorTable::Page> CursorTable::Resume(std::string_view token,
                                                      uint64_t request_fingerprint) {
  const auto malformed = [] {
    return InvalidField("page_token", "the page token is not one of this request",
                        "Send next_page_token of the page before, with all other fields unchanged");
  };
  std::string bytes;
  if (!absl::WebSafeBase64Unescape(absl::string_view(token.data(), token.size()), &bytes)) {
    return malformed();
  }
  std::string_view in = bytes;
  uint64_t cursor, fingerprint;
  if (!GetFixed64(&in, &cursor) || !GetFixed64(&in, &fingerprint)) return malformed();
  if (fingerprint != request_fingerprint) return malformed();
  std::lock_guard<std::mutex> lock(mutex_);
  const Clock::time_point now = Clock::now();
  ForgetOld(now);
  auto it = entries_.find(cursor);
  if (it == entries_.end()) {
    return MakeError(absl::StatusCode::kOutOfRange, "the page token has expired",
                     {"POSITION_EXPIRED", "page_token", "Start again from the first page", false});
  }
  it->second.used = now;
  by_use_.splice(by_use_.end(), by_use_, it->second.position);
  return Page{it->second.view, std::string(in), cursor};
}

std::string CursorTable::Next(uint64_t cursor, const ReadView& view, uint64_t request_fingerprint,
                              std::string_view resume) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    const Clock::time_point now = Clock::now();
    if (cursor == 0) {
      cursor = next_id_++;
      by_use_.push_back(cursor);
      entries_[cursor] = {view, now, std::prev(by_use_.end())};
    }
    ForgetOld(now);
  }
  std::string bytes;
  PutFixed64(&bytes, cursor);
  PutFixed64(&bytes, request_fingerprint);
  bytes.append(resume);
  return absl::WebSafeBase64Escape(bytes);
}

void CursorTable::Finish(uint64_t cursor) {
  if (cursor == 0) return;
  std::lock_guard<std::mutex> lock(mutex_);
  auto it = entries_.find(cursor);
  if (it == entries_.end()) return;
  by_use_.erase(it->second.position);
  entries_.erase(it);
}

}  // namespace cookix::engine
