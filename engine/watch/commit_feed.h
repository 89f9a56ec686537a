// Turns commits of the log into what a watch sends of them.
//
// All of it comes from the record of the commit: what objects and edges were before and are
// after, what things were called, which deletions were seen already when a tombstone was made.
// See docs/adr/0022-the-change-feed-reads-the-log.md.
#ifndef COOKIX_ENGINE_WATCH_COMMIT_FEED_H_
#define COOKIX_ENGINE_WATCH_COMMIT_FEED_H_

#include <string>

#include "absl/container/flat_hash_set.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "cookix/v1/watch_service.pb.h"
#include "engine/catalog/catalog.h"
#include "engine/watch/watch_selection.h"
#include "storage/log.h"

namespace cookix::engine {

// Not thread-safe.
class CommitFeed {
 public:
  using Emit = absl::FunctionRef<absl::Status(v1::Change&&)>;

  explicit CommitFeed(WatchSelection selection) : selection_(std::move(selection)) {}

  // Calls `emit` with each change of `commit` that is wanted, in order, until it fails. `catalog`
  // is of that commit or a later one. Errors: those of `emit`; DATA_LOSS for a record that is
  // malformed; OUT_OF_RANGE POSITION_EXPIRED for one of an early version that does not say what
  // is needed.
  absl::Status Translate(const storage::LogCommit& commit, const Catalog& catalog, Emit emit);

  // The namespace was dropped by a commit that was translated: there is nothing more to tell.
  bool ended() const { return ended_; }

  // NOT_FOUND for a namespace or a collection that was asked for, that `catalog` does not have,
  // and that no commit so far was about.
  absl::Status CheckNames(const Catalog& catalog) const;

 private:
  class Commit;

  const WatchSelection selection_;
  bool ended_ = false;
  // Collections that commits were about.
  absl::flat_hash_set<std::string> seen_;
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_WATCH_COMMIT_FEED_H_
