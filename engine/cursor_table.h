// Read views held for paged reads, so that all pages come from one position.
#ifndef COOKIX_ENGINE_CURSOR_TABLE_H_
#define COOKIX_ENGINE_CURSOR_TABLE_H_

#include <chrono>
#include <cstdint>
#include <list>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "absl/status/statusor.h"
#include "engine/read_view.h"

namespace cookix::engine {

// Thread-safe. A token names a cursor, where the next page begins, and which
// request it belongs to. Cursors are forgotten `keep_ms` after their last page, or
// when there are too many, the longest unused first.
class CursorTable {
 public:
  CursorTable(int64_t keep_ms, int64_t max_cursors);

  struct Page {
    ReadView view;
    // Where the page begins, as given to Next().
    std::string resume;
    uint64_t cursor = 0;
  };

  // Resolves a token. INVALID_FIELD for a malformed token or one of another
  // request; OUT_OF_RANGE POSITION_EXPIRED for a forgotten cursor.
  absl::StatusOr<Page> Resume(std::string_view token, uint64_t request_fingerprint);

  // The token of the next page. `cursor` is that of the page before; 0 makes a new
  // one that holds `view`.
  std::string Next(uint64_t cursor, const ReadView& view, uint64_t request_fingerprint,
                   std::string_view resume);

  // Forgets a cursor whose last page was read.
  void Finish(uint64_t cursor);

 private:
  using Clock = std::chrono::steady_clock;
  struct Entry {
    ReadView view;
    Clock::time_point used;
    std::list<uint64_t>::iterator position;
  };
  void ForgetOld(Clock::time_point now);

  const int64_t keep_ms_;
  const int64_t max_cursors_;
  std::mutex mutex_;
  uint64_t next_id_;
  std::unordered_map<uint64_t, Entry> entries_;
  std::list<uint64_t> by_use_;  // longest unused first
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_CURSOR_TABLE_H_
