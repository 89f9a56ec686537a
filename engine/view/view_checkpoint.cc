#include "engine/view/view_checkpoint.h"

#include <exception>
#include <utility>

#include "absl/strings/str_cat.h"
#include "storage/base/status.h"

namespace cookix::engine {
namespace {

// A position takes less.
constexpr uint32_t kMaxToken = 128;
// How long until a view that could not be captured is asked again.
constexpr std::chrono::seconds kAskAgain(1);
// After a save the view rests so many times as long as it took, so that saving
// takes a bounded share of disk and processor.
constexpr int kRestFactor = 4;

absl::Status CannotUse(std::string_view what) {
  return Corruption(what, "It is built again from the store; check the disk.");
}

// Passes everything on until it is cancelled.
class CancellableWriter final : public storage::CheckedFileWriter {
 public:
  CancellableWriter(storage::CheckedFileWriter& writer, const std::atomic<bool>& cancelled)
      : writer_(writer), cancelled_(cancelled) {}
  absl::Status Append(std::string_view bytes) override {
    if (cancelled_.load()) return absl::CancelledError("the save was cancelled");
    return writer_.Append(bytes);
  }
  absl::Status Finish() override {
    if (cancelled_.load()) return absl::CancelledError("the save was cancelled");
    return writer_.Finish();
  }
  uint64_t bytes() const override { return writer_.bytes(); }

 private:
  storage::CheckedFileWriter& writer_;
  const std::atomic<bool>& cancelled_;
};

absl::Status WriteFile(storage::Store& store, const View& view, const storage::Position& position,
                       ViewSave& save, const std::atomic<bool>& cancelled) {
  COOKIX_ASSIGN_OR_RETURN(const std::unique_ptr<storage::CheckedFileWriter> file,
                          store.CreateViewFile(view.name(), view.checkpoint_version()));
  CancellableWriter writer(*file, cancelled);
  const std::string token = storage::EncodePosition(position);
  COOKIX_RETURN_IF_ERROR(writer.AppendFixed(static_cast<uint32_t>(token.size())));
  COOKIX_RETURN_IF_ERROR(writer.Append(token));
  COOKIX_RETURN_IF_ERROR(Contained([&] { return save.Write(writer); }));
  // Whatever the sync mode: no file may hold commits that the store can lose.
  COOKIX_RETURN_IF_ERROR(store.Sync());
  return writer.Finish();
}

}  // namespace

absl::Status Contained(const std::function<absl::Status()>& run) {
  try {
    return run();
  } catch (const std::exception& error) {
    return MakeError(absl::StatusCode::kInternal, absl::StrCat("the view failed: ", error.what()),
                     {"INTERNAL", "", "Rebuild the view; give the server more memory", false});
  }
}

ViewSaver::~ViewSaver() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

bool ViewSaver::Reserve() {
  std::lock_guard<std::mutex> lock(mutex_);
  return !std::exchange(reserved_, true);
}

void ViewSaver::Release() {
  std::lock_guard<std::mutex> lock(mutex_);
  reserved_ = false;
}

void ViewSaver::Start(const View* view, const storage::Position& position,
                      std::unique_ptr<ViewSave> save, Done done) {
  std::lock_guard<std::mutex> lock(mutex_);
  view_ = view;
  position_ = position;
  save_ = std::move(save);
  done_ = std::move(done);
  cancelled_.store(false);
  if (!thread_.joinable()) thread_ = std::thread([this] { Run(); });
  changed_.notify_all();
}

void ViewSaver::Wait(const View* view, bool cancel) {
  std::unique_lock<std::mutex> lock(mutex_);
  if (view_ != view) return;
  if (cancel) cancelled_.store(true);
  changed_.wait(lock, [&] { return view_ != view; });
}

void ViewSaver::Run() {
  std::unique_lock<std::mutex> lock(mutex_);
  while (true) {
    changed_.wait(lock, [&] { return stopping_ || view_ != nullptr; });
    if (view_ == nullptr) return;
    const View* const view = view_;
    std::unique_ptr<ViewSave> save = std::move(save_);
    const Done done = std::move(done_);
    const storage::Position position = position_;
    lock.unlock();
    const Clock::time_point begun = Clock::now();
    const absl::Status status = WriteFile(store_, *view, position, *save, cancelled_);
    save.reset();
    done(status, Clock::now() - begun);
    lock.lock();
    view_ = nullptr;
    reserved_ = false;
    changed_.notify_all();
  }
}

ViewCheckpoint::ViewCheckpoint(storage::Store& store, View& view, ViewSaver& saver,
                               ViewCheckpointOptions options)
    : store_(store),
      view_(view),
      saver_(saver),
      options_(std::move(options)),
      last_begun_(Clock::now()) {}

std::optional<storage::Position> ViewCheckpoint::Load(const ReadView& newest,
                                                      BootstrapMonitor& monitor) {
  if (!saves()) return std::nullopt;
  bool found = true;
  const absl::StatusOr<storage::Position> position = DoLoad(newest, monitor, &found);
  if (position.ok()) {
    Say("info",
        absl::StrCat("was loaded, up to commit ", position->commit, " of ", newest.commit()));
    return *position;
  }
  if (found && !monitor.cancelled()) Reject(position.status());
  return std::nullopt;
}

void ViewCheckpoint::Reject(const absl::Status& why) {
  Say("warning", absl::StrCat("cannot be used, so it is built again: ", why.message()));
  // Others may be of use to another version of this program, and are replaced soon.
  if (absl::IsDataLoss(why) || absl::IsInternal(why)) Delete();
}

void ViewCheckpoint::Built() {
  bytes_ = 0;
  wanted_ = true;
}

absl::StatusOr<storage::Position> ViewCheckpoint::DoLoad(const ReadView& newest,
                                                         BootstrapMonitor& monitor, bool* found) {
  absl::StatusOr<std::unique_ptr<storage::CheckedFileReader>> opened =
      store_.OpenViewFile(view_.name(), view_.checkpoint_version());
  *found = !absl::IsNotFound(opened.status());
  COOKIX_RETURN_IF_ERROR(opened.status());
  const std::unique_ptr<storage::CheckedFileReader> reader = *std::move(opened);
  uint32_t size = 0;
  COOKIX_RETURN_IF_ERROR(reader->ReadFixed(&size));
  if (size > kMaxToken) return CannotUse("the position in the file of the view is malformed");
  std::string token(size, '\0');
  COOKIX_RETURN_IF_ERROR(reader->Read(token.data(), token.size()));
  const absl::StatusOr<storage::Position> position = storage::DecodePosition(token);
  if (!position.ok()) return CannotUse("the position in the file of the view is malformed");
  COOKIX_RETURN_IF_ERROR(store_.CheckPosition(*position));
  if (position->commit > newest.commit()) {
    return MakeError(
        absl::StatusCode::kFailedPrecondition,
        absl::StrCat("it has commit ", position->commit, ", the store only ", newest.commit()),
        {"POSITION_UNKNOWN", "", "It is built again from the store.", false});
  }
  COOKIX_RETURN_IF_ERROR(
      Contained([&] { return view_.Load(*reader, position->commit, newest, monitor); }));
  COOKIX_ASSIGN_OR_RETURN(const bool at_end, reader->AtEnd());
  if (!at_end) return CannotUse("the file of the view holds more than the view has read");
  bytes_ = 0;
  wanted_ = false;
  last_begun_ = Clock::now();
  std::lock_guard<std::mutex> lock(mutex_);
  has_file_ = !monitor.left_out();
  saved_ = *position;
  return *position;
}

void ViewCheckpoint::SaveIfDue(const storage::Position& position) {
  // An empty store is built faster than anything is read.
  if (!saves() || position.commit == 0) return;
  const Clock::time_point now = Clock::now();
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (is_under_way_ || now < not_before_) return;
    if (has_file_ && saved_.commit == position.commit) return;
    if (!wanted_ && error_.empty() && bytes_ < options_.bytes &&
        now - last_begun_ < options_.interval) {
      return;
    }
  }
  if (!saver_.Reserve()) return;
  std::unique_ptr<ViewSave> save;
  const absl::Status begun = Contained([&] {
    save = view_.BeginSave();
    return absl::OkStatus();
  });
  if (save == nullptr) {
    saver_.Release();
    if (!begun.ok()) return Finished(position, begun, Clock::duration::zero());
    std::lock_guard<std::mutex> lock(mutex_);
    not_before_ = now + kAskAgain;
    return;
  }
  bytes_ = 0;
  wanted_ = false;
  last_begun_ = now;
  under_way_ = position;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    is_under_way_ = true;
  }
  saver_.Start(&view_, position, std::move(save),
               [this, position](const absl::Status& status, Clock::duration took) {
                 Finished(position, status, took);
               });
}

void ViewCheckpoint::SaveNow(const storage::Position& position) {
  if (!saves() || position.commit == 0) return;
  // One of an older state would only be replaced.
  saver_.Wait(&view_, /*cancel=*/under_way_.commit != position.commit);
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (has_file_ && saved_.commit == position.commit) return;
  }
  const std::atomic<bool> never{false};
  std::unique_ptr<ViewSave> save;
  const absl::Status begun = Contained([&] {
    save = view_.BeginSave();
    return absl::OkStatus();
  });
  if (save == nullptr && begun.ok()) return;
  const absl::Status status =
      save == nullptr ? begun : WriteFile(store_, view_, position, *save, never);
  Finished(position, status, Clock::duration::zero());
}

void ViewCheckpoint::Cancel() { saver_.Wait(&view_, /*cancel=*/true); }

void ViewCheckpoint::Delete() {
  if (view_.checkpoint_version() == 0) return;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    has_file_ = false;
    saved_ = {};
  }
  const absl::Status status = store_.DeleteViewFile(view_.name());
  if (!status.ok()) Say("warning", absl::StrCat("cannot be removed: ", status.message()));
}

void ViewCheckpoint::Finished(const storage::Position& position, const absl::Status& status,
                              Clock::duration took) {
  bool is_new = false;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    is_under_way_ = false;
    if (status.ok()) {
      has_file_ = true;
      saved_ = position;
      error_.clear();
      not_before_ = Clock::now() + kRestFactor * took;
    } else if (status.code() != absl::StatusCode::kCancelled) {
      is_new = error_ != status.message();
      error_ = std::string(status.message());
      not_before_ = Clock::now() + options_.retry;
    }
  }
  if (is_new) Say("warning", absl::StrCat("cannot be saved: ", status.message()));
}

ViewCheckpointStatus ViewCheckpoint::Status() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return {has_file_ ? saved_.commit : 0, error_};
}

void ViewCheckpoint::Say(std::string_view level, const std::string& message) const {
  if (!options_.log) return;
  options_.log(level, absl::StrCat("the state of the view ", ToAbsl(view_.name()), " ", message));
}

}  // namespace cookix::engine
