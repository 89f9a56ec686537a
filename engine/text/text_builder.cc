#include "engine/text/text_builder.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/text/no_memory.h"
#include "engine/text/text_fill.h"
#include "storage/base/status.h"

namespace cookix::engine {
namespace {

// How often a build begins anew because the log has run away.
constexpr int kAttempts = 5;
// The view waits for the rest when no more commits than this are missing, or when so many
// rounds have not brought them down to that.
constexpr uint64_t kFewCommits = 64;
constexpr int kRounds = 10;

absl::Status Cancelled() { return absl::CancelledError("the index is not wanted any more"); }

}  // namespace

TextBuilder::TextBuilder(storage::Store& store, Host host)
    : store_(store), host_(std::move(host)), thread_([this] { Run(); }) {}

TextBuilder::~TextBuilder() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stopping_.store(true);
  }
  wake_.notify_all();
  thread_.join();
}

void TextBuilder::Start(TextBuildPtr build) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    queue_.push_back(std::move(build));
  }
  wake_.notify_all();
}

void TextBuilder::Run() {
  std::unique_lock<std::mutex> lock(mutex_);
  while (true) {
    wake_.wait(lock, [&] { return stopping_.load() || !queue_.empty(); });
    if (stopping_.load()) return;
    const TextBuildPtr build = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    absl::Status status;
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
      status = WithinMemory([&] { return Build(build); });
      if (!absl::IsOutOfRange(status)) break;
    }
    if (!status.ok() && !stopping_.load() && !build->cancelled.load()) host_.fail(build, status);
    lock.lock();
  }
}

absl::Status TextBuilder::Build(const TextBuildPtr& build) {
  COOKIX_ASSIGN_OR_RETURN(std::shared_ptr<TextCollection> texts,
                          TextCollection::Create(build->fields));
  const auto entry = std::make_shared<TextEntry>(std::move(texts), *host_.memory);
  build->set_filling(entry);
  const absl::Status status = WithinMemory([&] { return Fill(build, entry); });
  build->set_filling(nullptr);
  // What is not published is not to be worked on either.
  if (!status.ok()) host_.workers->Remove(entry.get());
  return status;
}

absl::Status TextBuilder::Fill(const TextBuildPtr& build, const TextEntryPtr& entry) {
  const auto step = [&](const TextEntryPtr& filled) -> absl::Status {
    if (stopping_.load() || build->cancelled.load()) return Cancelled();
    if (filled == nullptr) return absl::OkStatus();
    return SettleTexts(filled, *host_.workers, host_.max_bytes);
  };
  COOKIX_RETURN_IF_ERROR(step(nullptr));

  storage::Position position;
  {
    const std::shared_ptr<const storage::Snapshot> snapshot = store_.Latest();
    position = snapshot->position();
    COOKIX_RETURN_IF_ERROR(FillTexts(
        *snapshot, build->key.first,
        [&](CollectionId id) { return id == build->key.second ? entry : nullptr; }, step));
  }
  entry->filled_to = position.commit;
  entry->texts().set_oldest_commit(position.commit);

  COOKIX_ASSIGN_OR_RETURN(const std::unique_ptr<storage::LogReader> log, store_.ReadLog(position));
  const auto follow = [&](uint64_t to) {
    return FollowTexts(*log, to, build->key.first, build->key.second, entry, step);
  };
  for (int round = 0; round < kRounds; ++round) {
    COOKIX_RETURN_IF_ERROR(follow(store_.Latest()->commit()));
    if (host_.applied->load() <= entry->filled_to + kFewCommits) break;
  }
  std::lock_guard<std::mutex> gate(*host_.gate);
  COOKIX_RETURN_IF_ERROR(follow(host_.applied->load()));
  if (!host_.publish(build, entry)) return Cancelled();
  host_.workers->Queue(entry);
  return absl::OkStatus();
}

}  // namespace cookix::engine
