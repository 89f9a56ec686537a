// Views that save themselves, under a host.
#include "engine/view/view_checkpoint.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "engine/view/fake_store.h"
#include "engine/view/view_host.h"
#include "gtest/gtest.h"
#include "rocksdb/file_system.h"
#include "storage/base/status.h"
#include "storage/fault_injection_file_system.h"
#include "storage/store.h"

namespace cookix::engine {
namespace {

using Clock = CallContext::Clock;
using Fs = storage::FaultInjectionFileSystem;

constexpr char kFile[] = "/store/views/totals.view";

Clock::time_point Soon() { return Clock::now() + std::chrono::seconds(60); }

// Waits for what another thread does.
bool Eventually(const std::function<bool()>& holds) {
  const Clock::time_point deadline = Soon();
  while (!holds()) {
    if (Clock::now() > deadline) return false;
    std::this_thread::yield();
  }
  return true;
}

// The sum of the values of all objects. What outlives one view is in Controls.
struct Controls {
  std::atomic<uint32_t> version{1};
  std::atomic<int> bootstraps{0};
  std::atomic<int> loads{0};
  std::atomic<int> saves_begun{0};
  std::atomic<uint64_t> loaded_commit{0};
  std::atomic<int64_t> loaded_sum{0};
  std::atomic<bool> hold_write{false};
  std::atomic<bool> refuse_save{false};
  std::atomic<bool> throw_in_save{false};
  std::atomic<bool> throw_in_load{false};
  std::atomic<bool> read_too_little{false};
  std::atomic<uint64_t> fail_at{0};
  std::atomic<int> saves_alive{0};
  std::atomic<int> writes_begun{0};
  std::atomic<int> drops_during_saves{0};
};

class TotalsView : public View {
 public:
  explicit TotalsView(Controls& controls) : controls_(controls) {}

  std::string_view name() const override { return "totals"; }
  uint32_t checkpoint_version() const override { return controls_.version; }

  absl::Status Bootstrap(const ReadView& view, BootstrapMonitor&) override {
    ++controls_.bootstraps;
    int64_t sum = 0;
    auto rows = view.snapshot->Scan(storage::Family::kObjects, {});
    for (rows->SeekToFirst(); rows->Valid(); rows->Next()) {
      sum += std::stoll(std::string(rows->value()));
    }
    Set(sum, view.commit());
    return absl::OkStatus();
  }

  absl::Status Apply(const AppliedCommit& commit) override {
    std::lock_guard<std::mutex> lock(mutex_);
    if (commit.commit != last_ + 1) return absl::InternalError("a commit is missing");
    if (commit.commit == controls_.fail_at.load()) {
      controls_.fail_at = 0;
      return absl::InternalError("the state is no good");
    }
    last_ = commit.commit;
    for (const auto& event : commit.change.events()) {
      if (!event.object().before().empty()) sum_ -= std::stoll(event.object().before());
      if (!event.object().after().empty()) sum_ += std::stoll(event.object().after());
    }
    return absl::OkStatus();
  }

  std::unique_ptr<ViewSave> BeginSave() override {
    ++controls_.saves_begun;
    if (controls_.throw_in_save) throw std::runtime_error("no memory for a copy");
    if (controls_.refuse_save) return nullptr;
    std::lock_guard<std::mutex> lock(mutex_);
    return std::make_unique<Save>(controls_, sum_);
  }

  absl::Status Load(storage::CheckedFileReader& reader, uint64_t commit, const ReadView& newest,
                    BootstrapMonitor&) override {
    ++controls_.loads;
    if (controls_.throw_in_load) throw std::runtime_error("no memory to load");
    EXPECT_LE(commit, newest.commit());
    EXPECT_LE(reader.version(), controls_.version);
    int64_t sum = 0;
    COOKIX_RETURN_IF_ERROR(reader.ReadFixed(&sum));
    if (!controls_.read_too_little) {
      uint8_t end = 0;
      COOKIX_RETURN_IF_ERROR(reader.ReadFixed(&end));
    }
    controls_.loaded_commit = commit;
    controls_.loaded_sum = sum;
    Set(sum, commit);
    return absl::OkStatus();
  }

  void Drop() override {
    if (controls_.saves_alive != 0) ++controls_.drops_during_saves;
    Set(0, 0);
  }
  int64_t MemoryBytes() const override { return 8; }

  int64_t sum() const {
    std::lock_guard<std::mutex> lock(mutex_);
    return sum_;
  }

 private:
  class Save : public ViewSave {
   public:
    Save(Controls& controls, int64_t sum) : controls_(controls), sum_(sum) {
      ++controls_.saves_alive;
    }
    ~Save() override { --controls_.saves_alive; }
    absl::Status Write(storage::CheckedFileWriter& writer) override {
      ++controls_.writes_begun;
      while (controls_.hold_write) {
        // An empty piece only asks whether to go on.
        COOKIX_RETURN_IF_ERROR(writer.Append(""));
        std::this_thread::yield();
      }
      COOKIX_RETURN_IF_ERROR(writer.AppendFixed(sum_));
      return writer.AppendFixed<uint8_t>(0xee);
    }

   private:
    Controls& controls_;
    const int64_t sum_;
  };

  void Set(int64_t sum, uint64_t last) {
    std::lock_guard<std::mutex> lock(mutex_);
    sum_ = sum;
    last_ = last;
  }

  Controls& controls_;
  mutable std::mutex mutex_;
  int64_t sum_ = 0;
  uint64_t last_ = 0;
};

class ViewCheckpointTest : public testing::Test {
 protected:
  ViewCheckpointTest() {
    options_.log = [this](std::string_view level, std::string_view message) {
      std::lock_guard<std::mutex> lock(said_mutex_);
      said_.push_back(std::string(level) + ": " + std::string(message));
    };
    // Only when a test asks for it.
    options_.checkpoint_interval = std::chrono::hours(24);
  }
  ~ViewCheckpointTest() override {
    controls_.hold_write = false;
    host_.reset();
    EXPECT_EQ(controls_.drops_during_saves, 0);
  }

  // A new host over the same store, ready and up to date.
  void Start() {
    {
      std::lock_guard<std::mutex> lock(said_mutex_);
      said_.clear();
    }
    host_ = std::make_unique<ViewHost>(
        store_, [this] { return store_.Read(); }, options_);
    view_ = host_->Add(std::make_unique<TotalsView>(controls_));
    controls_.bootstraps = 0;
    controls_.loads = 0;
    controls_.saves_begun = 0;
    ASSERT_TRUE(host_->Start().ok());
    CallContext context(Soon());
    ASSERT_TRUE(host_->WaitBuilt("totals", context).ok());
    ASSERT_EQ(Status().state, ViewState::kReady) << Status().error;
    Catch();
  }
  // Waits until the view is up to date, and looks whether it is right.
  void Catch() {
    ASSERT_TRUE(host_->WaitVisible(view_, last_, Soon()));
    EXPECT_EQ(view_->sum(), sum_);
  }
  // Ends the host. What it saved then is the state of `last_`.
  void Stop() { host_.reset(); }
  // Ends the host without giving it the time to save anything.
  void Crash() {
    store_.files().Stop();
    host_.reset();
    store_.files().PowerFailure();
    store_.files().Heal();
  }

  void Put(int key, int64_t value) {
    internal::v1::ChangeRecord change;
    auto* object = change.add_events()->mutable_object();
    if (auto it = values_.find(key); it != values_.end()) {
      object->set_before(std::to_string(it->second));
      sum_ -= it->second;
    }
    values_[key] = value;
    sum_ += value;
    object->set_after(std::to_string(value));
    last_ =
        store_.Write({{std::to_string(key), std::to_string(value)}}, change.SerializeAsString());
  }
  void PutMany(int count) {
    for (int i = 0; i < count; ++i) Put(i % 10, 3 * i + 1);
  }

  ViewStatus Status() { return host_->Status().front(); }
  bool WaitSaved(uint64_t commit) {
    return Eventually([&] { return Status().checkpoint_commit >= commit; });
  }
  std::vector<std::string> Said() {
    std::lock_guard<std::mutex> lock(said_mutex_);
    return said_;
  }
  bool HasSaid(const std::string& part) {
    const std::vector<std::string> said = Said();
    return std::any_of(said.begin(), said.end(), [&](const std::string& line) {
      return line.find(part) != std::string::npos;
    });
  }
  bool FileExists() { return store_.files().FileExists(kFile, {}, nullptr).ok(); }
  std::string FileBytes() {
    std::string bytes;
    EXPECT_TRUE(rocksdb::ReadFileToString(&store_.files(), kFile, &bytes).ok());
    return bytes;
  }
  void SetFileBytes(const std::string& bytes) {
    ASSERT_TRUE(rocksdb::WriteStringToFile(&store_.files(), bytes, kFile, true).ok());
  }
  // A file of whatever position.
  void SaveByHand(const storage::Position& position, int64_t sum) {
    auto writer = store_.CreateViewFile("totals", 1);
    ASSERT_TRUE(writer.ok());
    const std::string token = storage::EncodePosition(position);
    ASSERT_TRUE((*writer)->AppendFixed(static_cast<uint32_t>(token.size())).ok());
    ASSERT_TRUE((*writer)->Append(token).ok());
    ASSERT_TRUE((*writer)->AppendFixed(sum).ok());
    ASSERT_TRUE((*writer)->AppendFixed<uint8_t>(0xee).ok());
    ASSERT_TRUE((*writer)->Finish().ok());
  }
  void ExpectRestoredFrom(uint64_t commit) {
    EXPECT_TRUE(Status().restored);
    EXPECT_EQ(controls_.loaded_commit, commit);
    EXPECT_EQ(controls_.bootstraps, 0);
    EXPECT_TRUE(HasSaid("was loaded"));
  }
  void ExpectBuilt(const std::string& why) {
    EXPECT_FALSE(Status().restored);
    EXPECT_EQ(controls_.bootstraps, 1);
    EXPECT_TRUE(HasSaid("warning: the state of the view totals cannot be used")) << why;
    EXPECT_TRUE(HasSaid(why)) << why << ", but: " << testing::PrintToString(Said());
  }

  Controls controls_;
  FakeStore store_;
  ViewHostOptions options_;
  std::map<int, int64_t> values_;
  int64_t sum_ = 0;
  uint64_t last_ = 0;
  std::mutex said_mutex_;
  std::vector<std::string> said_;
  std::unique_ptr<ViewHost> host_;
  TotalsView* view_ = nullptr;
};

TEST_F(ViewCheckpointTest, StartsFromWhatWasSavedWhenItStopped) {
  PutMany(50);
  Start();
  EXPECT_FALSE(Status().restored);
  EXPECT_EQ(controls_.bootstraps, 1);
  EXPECT_TRUE(Said().empty());
  PutMany(50);
  Catch();
  Stop();
  const std::string saved = FileBytes();
  Start();
  ExpectRestoredFrom(100);
  EXPECT_EQ(controls_.loaded_sum, sum_);
  EXPECT_EQ(Status().checkpoint_commit, 100u);
  // Nothing changed, so nothing is saved.
  Stop();
  EXPECT_EQ(controls_.saves_begun, 0);
  EXPECT_EQ(FileBytes(), saved);
}

TEST_F(ViewCheckpointTest, CatchesUpFromWhereItWasSaved) {
  PutMany(10);
  Start();
  ASSERT_TRUE(WaitSaved(10));
  PutMany(700);
  Catch();
  Crash();
  PutMany(20);
  Start();
  ExpectRestoredFrom(10);
  EXPECT_EQ(Status().visible, 730u);
}

TEST_F(ViewCheckpointTest, AnEmptyStoreIsNotSaved) {
  Start();
  Stop();
  EXPECT_FALSE(FileExists());
}

TEST_F(ViewCheckpointTest, SavesAfterEnoughLog) {
  PutMany(10);
  options_.checkpoint_bytes = 2000;
  Start();
  ASSERT_TRUE(WaitSaved(10));
  // Less than that.
  PutMany(10);
  Catch();
  EXPECT_EQ(controls_.saves_begun, 1);
  PutMany(500);
  Catch();
  ASSERT_TRUE(WaitSaved(21));
}

TEST_F(ViewCheckpointTest, SavesAfterAWhileIfAnythingChanged) {
  PutMany(10);
  options_.checkpoint_interval = std::chrono::milliseconds(0);
  Start();
  for (int i = 0; i < 5; ++i) {
    Put(1, i);
    Catch();
    ASSERT_TRUE(WaitSaved(last_));
  }
  const int begun = controls_.saves_begun;
  EXPECT_GE(begun, 5);
  Stop();
  EXPECT_EQ(controls_.saves_begun, begun);
}

TEST_F(ViewCheckpointTest, RestsAfterASaveThatTookLong) {
  PutMany(10);
  options_.checkpoint_interval = std::chrono::milliseconds(0);
  controls_.hold_write = true;
  Start();
  ASSERT_TRUE(Eventually([&] { return controls_.writes_begun == 1; }));
  const Clock::time_point begun = Clock::now();
  ASSERT_TRUE(Eventually([&] { return Clock::now() - begun > std::chrono::milliseconds(30); }));
  const Clock::time_point released = Clock::now();
  controls_.hold_write = false;
  ASSERT_TRUE(Eventually([&] {
    Put(1, 1);
    return controls_.saves_begun == 2;
  }));
  EXPECT_GE(Clock::now() - released, 4 * std::chrono::milliseconds(30));
}

TEST_F(ViewCheckpointTest, SavesTheStateOfOneCommitWhileOthersAreApplied) {
  PutMany(10);
  const int64_t sum = sum_;
  controls_.hold_write = true;
  Start();
  ASSERT_TRUE(Eventually([&] { return controls_.saves_alive == 1; }));
  PutMany(1000);
  Catch();
  EXPECT_EQ(Status().checkpoint_commit, 0u);
  controls_.hold_write = false;
  ASSERT_TRUE(WaitSaved(10));
  EXPECT_EQ(Status().checkpoint_commit, 10u);
  Crash();
  Start();
  ExpectRestoredFrom(10);
  EXPECT_EQ(controls_.loaded_sum, sum);
}

TEST_F(ViewCheckpointTest, StoppingReplacesASaveUnderWay) {
  PutMany(10);
  controls_.hold_write = true;
  Start();
  ASSERT_TRUE(Eventually([&] { return controls_.saves_alive == 1; }));
  PutMany(10);
  Catch();
  // Lets the last save go on once the first one is cancelled.
  std::thread releaser([&] {
    EXPECT_TRUE(Eventually([&] { return controls_.saves_begun == 2; }));
    controls_.hold_write = false;
  });
  Stop();
  releaser.join();
  Start();
  ExpectRestoredFrom(20);
}

TEST_F(ViewCheckpointTest, DamageAtAnyByteIsFoundAndRepaired) {
  PutMany(30);
  Start();
  Stop();
  const std::string good = FileBytes();
  for (size_t at = 0; at < good.size(); ++at) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ (1 << (at % 8)));
    SetFileBytes(bad);
    Start();
    ExpectBuilt(kFile);
    // Repaired.
    Stop();
    EXPECT_EQ(FileBytes(), good) << at;
  }
  for (size_t size = 0; size < good.size(); ++size) {
    SetFileBytes(good.substr(0, size));
    Start();
    ExpectBuilt(kFile);
    Stop();
    EXPECT_EQ(FileBytes(), good) << size;
  }
  Start();
  ExpectRestoredFrom(30);
}

TEST_F(ViewCheckpointTest, ADamagedFileIsGoneEvenWhenTheBuildIsInterrupted) {
  PutMany(30);
  Start();
  Stop();
  SetFileBytes(FileBytes() + "x");
  controls_.refuse_save = true;
  Start();
  ExpectBuilt("bytes follow its end");
  EXPECT_FALSE(FileExists());
}

// Whatever fails while it is saved, and when the power goes with it: the next start
// has the old state or the new one.
TEST_F(ViewCheckpointTest, CrashesAtAnyStepOfASave) {
  PutMany(10);
  for (const uint64_t power_seed : {0, 1, 2}) {
    for (int64_t step = 0;; ++step) {
      Start();
      const uint64_t before = last_;
      ASSERT_TRUE(WaitSaved(before));
      Put(3, 1000 + step);
      Catch();
      store_.files().FailAt(Fs::kAnyWrite, step, Fs::Fault::kIoError, /*sticky=*/true);
      Stop();
      const bool failed = store_.files().Failures() > 0;
      store_.files().PowerFailure(power_seed);
      store_.files().Heal();
      Start();
      EXPECT_TRUE(Status().restored) << step;
      EXPECT_EQ(controls_.bootstraps, 0);
      EXPECT_TRUE(controls_.loaded_commit == before || controls_.loaded_commit == last_) << step;
      Stop();
      if (!failed) {
        EXPECT_EQ(controls_.loaded_commit, last_);
        // Created, header, block, end, sync, rename, directory.
        EXPECT_GE(step, 7);
        break;
      }
    }
  }
}

TEST_F(ViewCheckpointTest, AFullDiskIsReportedAndTriedAgain) {
  PutMany(10);
  options_.checkpoint_interval = std::chrono::milliseconds(0);
  options_.checkpoint_retry = std::chrono::milliseconds(1);
  Start();
  ASSERT_TRUE(WaitSaved(10));
  store_.files().FailAt(Fs::kAppend, 1, Fs::Fault::kNoSpace, /*sticky=*/true, "/views");
  PutMany(10);
  Catch();
  ASSERT_TRUE(Eventually([&] { return !Status().checkpoint_error.empty(); }));
  // It is tried again, and said once.
  const int64_t failures = store_.files().Failures();
  ASSERT_TRUE(Eventually([&] {
    Put(1, 1);
    return store_.files().Failures() > failures + 2;
  }));
  EXPECT_EQ(Status().state, ViewState::kReady);
  EXPECT_EQ(Status().checkpoint_commit, 10u);
  Catch();
  const auto said = Said();
  EXPECT_EQ(std::count_if(said.begin(), said.end(),
                          [](const std::string& line) {
                            return line.find("cannot be saved") != std::string::npos;
                          }),
            1);
  store_.files().Heal();
  ASSERT_TRUE(WaitSaved(last_));
  EXPECT_EQ(Status().checkpoint_error, "");
  Stop();
  Start();
  ExpectRestoredFrom(last_);
}

TEST_F(ViewCheckpointTest, AViewThatCannotBeCapturedGoesOn) {
  PutMany(10);
  controls_.throw_in_save = true;
  Start();
  ASSERT_TRUE(Eventually([&] { return !Status().checkpoint_error.empty(); }));
  EXPECT_NE(Status().checkpoint_error.find("no memory for a copy"), std::string::npos);
  PutMany(10);
  Catch();
  Stop();
  EXPECT_FALSE(FileExists());
  controls_.throw_in_save = false;
  controls_.refuse_save = true;
  Start();
  ASSERT_TRUE(Eventually([&] { return controls_.saves_begun > 0; }));
  EXPECT_EQ(Status().checkpoint_error, "");
  // Asked again.
  controls_.refuse_save = false;
  ASSERT_TRUE(WaitSaved(20));
}

TEST_F(ViewCheckpointTest, PositionsOutsideTheHistoryAreNotBelieved) {
  PutMany(10);
  storage::Position other{{1, 2, 3}, 1, 10};
  SaveByHand(other, 12345);
  Start();
  ExpectBuilt("the position is unknown");
  Stop();
  // A commit that the store has lost.
  SaveByHand({{}, 1, 11}, 12345);
  Start();
  ExpectBuilt("it has commit 11, the store only 10");
  Stop();
  // Replaced by one that can be used.
  Start();
  ExpectRestoredFrom(10);
  Stop();
  // An epoch that ended before it.
  store_.ForgetFrom(10);
  SaveByHand({{}, 1, 10}, 12345);
  store_.ForgetFrom(11);
  SaveByHand({{}, 2, 10}, 12345);
  Start();
  ExpectBuilt("the position is unknown");
}

TEST_F(ViewCheckpointTest, BuildsWhenTheLogDoesNotReachBack) {
  PutMany(10);
  Start();
  ASSERT_TRUE(WaitSaved(10));
  Crash();
  PutMany(10);
  store_.CutLog(15);
  Start();
  ExpectBuilt("the log is cut");
  // What is saved then is of use.
  ASSERT_TRUE(WaitSaved(20));
  Crash();
  Start();
  ExpectRestoredFrom(20);
}

TEST_F(ViewCheckpointTest, OtherVersions) {
  PutMany(10);
  controls_.version = 2;
  Start();
  Stop();
  const std::string newer = FileBytes();
  controls_.version = 1;
  controls_.refuse_save = true;
  Start();
  ExpectBuilt("has version 2");
  Stop();
  // The newer program finds it again.
  EXPECT_EQ(FileBytes(), newer);
  controls_.version = 3;
  Start();
  ExpectRestoredFrom(10);
  Stop();
  controls_.version = 0;
  Start();
  EXPECT_FALSE(Status().restored);
  EXPECT_EQ(controls_.loads, 0);
}

TEST_F(ViewCheckpointTest, LoadsThatFailEndInABuild) {
  PutMany(10);
  Start();
  Stop();
  controls_.throw_in_load = true;
  Start();
  ExpectBuilt("no memory to load");
  Stop();
  controls_.throw_in_load = false;
  controls_.read_too_little = true;
  Start();
  ExpectBuilt("holds more than the view has read");
  Stop();
  controls_.read_too_little = false;
  Start();
  ExpectRestoredFrom(10);
}

TEST_F(ViewCheckpointTest, AStateThatCannotGoOnDoesNotComeBack) {
  PutMany(10);
  Start();
  ASSERT_TRUE(WaitSaved(10));
  Crash();
  PutMany(5);
  // Loaded, it fails at the next commit; built, it works.
  controls_.fail_at = 12;
  Start();
  ExpectBuilt("the state is no good");
  ASSERT_TRUE(WaitSaved(15));
  // A view that was built fails for good, and leaves nothing behind.
  controls_.fail_at = 16;
  Put(1, 1);
  ASSERT_TRUE(Eventually([&] { return Status().state == ViewState::kFailed; }));
  ASSERT_TRUE(Eventually([&] { return !FileExists(); }));
  EXPECT_EQ(Status().checkpoint_commit, 0u);
  Stop();
  Start();
  EXPECT_FALSE(Status().restored);
}

TEST_F(ViewCheckpointTest, RebuildForgetsWhatWasSaved) {
  PutMany(10);
  Start();
  ASSERT_TRUE(WaitSaved(10));
  controls_.refuse_save = true;
  ASSERT_TRUE(host_->Rebuild("totals").ok());
  CallContext context(Soon());
  ASSERT_TRUE(host_->WaitBuilt("totals", context).ok());
  EXPECT_EQ(controls_.bootstraps, 2);
  EXPECT_FALSE(FileExists());
  EXPECT_EQ(Status().checkpoint_commit, 0u);
  // And stops a save under way, which would bring it back.
  controls_.refuse_save = false;
  controls_.hold_write = true;
  ASSERT_TRUE(host_->Rebuild("totals").ok());
  ASSERT_TRUE(Eventually([&] { return controls_.saves_alive == 1; }));
  controls_.refuse_save = true;
  ASSERT_TRUE(host_->Rebuild("totals").ok());
  ASSERT_TRUE(host_->WaitBuilt("totals", context).ok());
  EXPECT_EQ(controls_.saves_alive, 0);
  EXPECT_FALSE(FileExists());
  EXPECT_EQ(Status().checkpoint_error, "");
}

TEST_F(ViewCheckpointTest, SwitchedOffNothingIsReadOrWritten) {
  PutMany(10);
  Start();
  Stop();
  const std::string saved = FileBytes();
  PutMany(10);
  options_.checkpoints = false;
  Start();
  EXPECT_FALSE(Status().restored);
  EXPECT_EQ(controls_.loads, 0);
  Stop();
  EXPECT_EQ(controls_.saves_begun, 0);
  EXPECT_EQ(FileBytes(), saved);
}

TEST_F(ViewCheckpointTest, SavesAndRebuildsWhileWritersWrite) {
  PutMany(10);
  options_.checkpoint_interval = std::chrono::milliseconds(0);
  Start();
  std::thread rebuilder([&] {
    for (int i = 0; i < 20; ++i) {
      EXPECT_TRUE(host_->Rebuild("totals").ok());
      CallContext context(Soon());
      EXPECT_TRUE(host_->WaitBuilt("totals", context).ok());
    }
  });
  PutMany(3000);
  rebuilder.join();
  Catch();
  Stop();
  Start();
  ExpectRestoredFrom(3010);
}

// With the store itself, and without a sync of its own at any commit: what a file
// holds is never lost with the power.
TEST(ViewCheckpointStoreTest, AFileHoldsNothingThatTheStoreCanLose) {
  const std::shared_ptr<Fs> fs = Fs::InMemory();
  storage::Options options;
  options.path = "/data/store";
  options.file_system = fs;
  options.memory_budget_bytes = 16 << 20;
  options.low_disk_bytes = 0;
  options.sync_mode = storage::SyncMode::kOff;
  Controls controls;
  int64_t sum = 0;
  for (int round = 0; round < 3; ++round) {
    auto opened = storage::Store::Open(options);
    ASSERT_TRUE(opened.ok()) << opened.status();
    storage::Store& store = **opened;
    ViewHostOptions host_options;
    host_options.checkpoint_interval = std::chrono::hours(24);
    ViewHost host(
        store,
        [&] {
          return ReadView{store.Latest(), std::make_shared<Catalog>()};
        },
        host_options);
    TotalsView* const view = host.Add(std::make_unique<TotalsView>(controls));
    controls.bootstraps = 0;
    const uint64_t recovered = store.Latest()->commit();
    ASSERT_TRUE(host.Start().ok());
    CallContext context(Soon());
    ASSERT_TRUE(host.WaitBuilt("totals", context).ok());
    ASSERT_TRUE(host.WaitVisible(view, recovered, Soon()));
    EXPECT_EQ(view->sum(), sum);
    if (round > 0) {
      EXPECT_TRUE(host.Status().front().restored);
      EXPECT_EQ(controls.bootstraps, 0);
    }
    const auto put = [&](int key) {
      const auto result = store.Commit({}, [&](storage::CommitBatch& batch) {
        internal::v1::ChangeRecord change;
        change.add_events()->mutable_object()->set_after("1");
        batch.Put(storage::Family::kObjects, std::to_string(round) + "/" + std::to_string(key),
                  "1");
        batch.SetChange(change.SerializeAsString());
        return absl::OkStatus();
      });
      ASSERT_TRUE(result.ok()) << result.status();
      ASSERT_TRUE(host.WaitVisible(view, result->position.commit, Soon()));
    };
    for (int i = 0; i < 10; ++i) put(i);
    host.Stop();
    ASSERT_EQ(host.Status().front().checkpoint_commit, recovered + 10);
    sum += 10;
    // The store is not closed in order, and loses what it has not synced.
    fs->Stop();
    opened->reset();
    fs->PowerFailure();
    fs->Heal();
  }
}

}  // namespace
}  // namespace cookix::engine
