// Views: structures derived from the store that make reads fast.
//
// The store is the only truth. A view has two inputs, a snapshot to start from
// and the commits after it, and both must lead to the same state; the framework
// (ViewHost) feeds it, knows how far it is, makes readers wait until it shows
// what they must see, slows writers down when it falls behind, and can drop and
// rebuild it while the server answers.
//
// A view may save its state beside the store, so that the next start need not
// build it: see BeginSave().
//
// What the framework promises a view: Bootstrap(), Load() and Apply() are called
// from one thread, commits come in order, without gaps and exactly once after the
// commit of the bootstrap snapshot or of the loaded state. What it does not promise: that readers
// see the view at exactly their snapshot's commit. A view may be ahead of a reader's snapshot by
// the commits that came since; each view says how it answers such readers exactly (older versions,
// or reading the few changed objects from the snapshot). It does not promise either that a view is
// there at all: while it is built, or after an error, readers must answer from the store, slower
// and the same.
#ifndef COOKIX_ENGINE_VIEW_VIEW_H_
#define COOKIX_ENGINE_VIEW_VIEW_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cookix/internal/v1/records.pb.h"
#include "engine/read_view.h"
#include "storage/checked_file.h"
#include "storage/log.h"

namespace cookix::engine {

// One commit with its change decoded once for all views.
struct AppliedCommit {
  uint64_t commit = 0;
  int64_t time_ms = 0;
  internal::v1::ChangeRecord change;
  // What it was decoded from; its batch has what `change` does not repeat
  // (storage/commit_writes.h). Set by the host.
  storage::LogCommitPtr logged;
  // The catalog of this commit or of a later one: for what never changes once it
  // is made, such as what a collection does not index. Set by the host.
  std::shared_ptr<const Catalog> catalog;
};

// Lets a long bootstrap or load report progress and stop early.
class BootstrapMonitor {
 public:
  virtual ~BootstrapMonitor() = default;
  // `fraction` is 0 to 1.
  virtual void Report(double fraction) = 0;
  // True when the bootstrap should return kCancelled soon.
  virtual bool cancelled() const = 0;

  // A view says in Load() that it left out some of what was saved, to build it again: then
  // the file is replaced even when no commit has come since.
  void LeaveOut() { left_out_ = true; }
  bool left_out() const { return left_out_; }

 private:
  bool left_out_ = false;
};

// A state of a view that is being saved. It outlives no Drop(): the host is done
// with it before.
class ViewSave {
 public:
  virtual ~ViewSave() = default;
  // Writes exactly the state at the commit of BeginSave(), while Apply() goes on in
  // another thread. Must return an error of `writer`, which is how it is cancelled.
  virtual absl::Status Write(storage::CheckedFileWriter& writer) = 0;
};

// One view. Bootstrap(), Load(), Apply(), BeginSave() and Drop() come from one
// thread at a time;
// readers of the concrete view may run at any time and must be safe against it.
class View {
 public:
  virtual ~View() = default;

  // Stable name, such as "adjacency".
  virtual std::string_view name() const = 0;

  // Builds the state of `view` from nothing.
  virtual absl::Status Bootstrap(const ReadView& view, BootstrapMonitor& monitor) = 0;

  // Adds the next commit. An error stops the view: it is dropped and its readers
  // go to the store until it is rebuilt.
  virtual absl::Status Apply(const AppliedCommit& commit) = 0;

  // Forgets everything and frees the memory.
  virtual void Drop() = 0;

  virtual int64_t MemoryBytes() const = 0;

  // False while the part that is not indexed yet is at its bound; writers wait.
  // `bulk` asks for a bulk load, whose bound may be higher. From any thread, often
  // and under locks of the host: must be quick and must not call the host.
  virtual bool HasRoom(bool bulk) const { return true; }

  // The last commit in the structure proper, when Apply() has been called up to
  // `applied`. From any thread.
  virtual uint64_t indexed(uint64_t applied) const { return applied; }

  // Counters for statistics and metrics, by name.
  virtual std::map<std::string, int64_t> Counters() const { return {}; }

  // The version of what Write() writes, to be raised whenever its meaning changes;
  // 0 = the view does not save itself. A view that does has a name of lower-case
  // letters, digits and underscores.
  virtual uint32_t checkpoint_version() const { return 0; }

  // Captures the present state, between two commits. Must be quick, since Apply()
  // waits for it; the work is ViewSave::Write()'s. At most one at a time. Null when
  // it is not possible now: asked again later.
  virtual std::unique_ptr<ViewSave> BeginSave() { return nullptr; }

  // Builds the state of `commit` from what Write() wrote, in place of Bootstrap().
  // reader.version() may be an older one. `newest` is the newest state of the store,
  // at `commit` or later, for what is not saved. Numbers of elements are to be
  // checked against reader.MaxLeft() before memory is taken for them. It must read
  // to the end. After an error the host drops the view and bootstraps it.
  virtual absl::Status Load(storage::CheckedFileReader& reader, uint64_t commit,
                            const ReadView& newest, BootstrapMonitor& monitor) {
    return absl::UnimplementedError("the view does not save itself");
  }
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_VIEW_VIEW_H_
