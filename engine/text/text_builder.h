// Builds text indexes beside the view: of collections whose text fields have changed.
#ifndef COOKIX_ENGINE_TEXT_TEXT_BUILDER_H_
#define COOKIX_ENGINE_TEXT_TEXT_BUILDER_H_

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "cookix/v1/catalog_service.pb.h"
#include "engine/records.h"
#include "engine/text/text_work.h"
#include "storage/store.h"

namespace cookix::engine {

using TextKey = std::pair<NamespaceId, CollectionId>;

// An index that is wanted.
class TextBuild {
 public:
  TextKey key;
  std::vector<v1::TextField> fields;
  // For people: which collection of which namespace.
  std::string name;
  // The view had this commit when it was asked for.
  uint64_t asked_at = 0;
  // Nobody wants it any more.
  std::atomic<bool> cancelled{false};

  // The index as far as it is built; null before it is begun, and when it has failed.
  TextEntryPtr filling() const {
    std::lock_guard<std::mutex> lock(mutex_);
    return filling_;
  }
  void set_filling(TextEntryPtr entry) {
    std::lock_guard<std::mutex> lock(mutex_);
    filling_ = std::move(entry);
  }

 private:
  mutable std::mutex mutex_;
  TextEntryPtr filling_;  // guarded by mutex_
};
using TextBuildPtr = std::shared_ptr<TextBuild>;

// A thread that builds one index after the other. Thread-safe.
//
// An index is filled from the newest snapshot and then follows the log on its own, past
// what the view has applied; for the last few commits the view waits, so that the index is
// handed over between two of them.
class TextBuilder {
 public:
  struct Host {
    // Held by the view while it applies a commit.
    std::mutex* gate = nullptr;
    // The last commit that the view has applied.
    std::atomic<uint64_t>* applied = nullptr;
    // Bytes of all indexes, and their limit.
    std::atomic<int64_t>* memory = nullptr;
    int64_t max_bytes = 0;
    TextWorkers* workers = nullptr;
    // Takes the index over, under the gate. False: nobody wants it any more.
    std::function<bool(const TextBuildPtr&, const TextEntryPtr&)> publish;
    // It could not be built.
    std::function<void(const TextBuildPtr&, const absl::Status&)> fail;
  };
  // `store` and what `host` names outlive it.
  TextBuilder(storage::Store& store, Host host);
  // Gives up what is being built.
  ~TextBuilder();

  void Start(TextBuildPtr build);

 private:
  void Run();
  absl::Status Build(const TextBuildPtr& build);
  absl::Status Fill(const TextBuildPtr& build, const TextEntryPtr& entry);
  storage::Store& store_;
  const Host host_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<TextBuildPtr> queue_;  // guarded by mutex_
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_TEXT_TEXT_BUILDER_H_
