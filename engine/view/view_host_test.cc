#include "engine/view/view_host.h"

#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>

#include "engine/view/fake_store.h"
#include "gtest/gtest.h"
#include "storage/base/status.h"

namespace cookix::engine {
namespace {

using Clock = CallContext::Clock;

Clock::time_point Soon() { return Clock::now() + std::chrono::seconds(30); }

// Adds up numbers: object n adds its value. Can be held, and made to fail.
class SumView : public View {
 public:
  explicit SumView(std::string name) : name_(std::move(name)) {}

  std::string_view name() const override { return name_; }

  absl::Status Bootstrap(const ReadView& view, BootstrapMonitor& monitor) override {
    ++bootstraps_;
    int64_t sum = 0;
    auto rows = view.snapshot->Scan(storage::Family::kObjects, {});
    for (rows->SeekToFirst(); rows->Valid(); rows->Next()) {
      if (monitor.cancelled()) return absl::CancelledError("stopped");
      sum += std::stoll(std::string(rows->value()));
    }
    monitor.Report(0.5);
    if (fail_bootstrap_) return absl::InternalError("no bootstrap today");
    while (hold_bootstrap_) {
      if (monitor.cancelled()) return absl::CancelledError("stopped");
      std::this_thread::yield();
    }
    std::lock_guard<std::mutex> lock(mutex_);
    sum_ = sum;
    last_ = view.commit();
    return absl::OkStatus();
  }

  absl::Status Apply(const AppliedCommit& commit) override {
    while (hold_apply_) std::this_thread::yield();
    std::lock_guard<std::mutex> lock(mutex_);
    if (commit.commit != last_ + 1) return absl::InternalError("a commit is missing");
    if (commit.logged == nullptr || commit.logged->commit != commit.commit) {
      return absl::InternalError("the logged commit is missing");
    }
    if (commit.catalog == nullptr) return absl::InternalError("the catalog is missing");
    if (commit.commit == fail_at_) throw std::runtime_error("thrown by a library");
    if (damages_left_ > 0 && commit.commit >= damaged_from_) {
      --damages_left_;
      return absl::DataLossError("a cell is damaged");
    }
    last_ = commit.commit;
    for (const auto& event : commit.change.events()) {
      if (!event.object().before().empty()) sum_ -= std::stoll(event.object().before());
      if (!event.object().after().empty()) sum_ += std::stoll(event.object().after());
    }
    return absl::OkStatus();
  }

  void Drop() override {
    std::lock_guard<std::mutex> lock(mutex_);
    sum_ = 0;
    last_ = 0;
  }
  int64_t MemoryBytes() const override { return 8; }
  bool HasRoom(bool bulk) const override { return bulk ? bulk_room_ : room_; }
  uint64_t indexed(uint64_t applied) const override { return applied - not_indexed_; }

  int64_t sum() const {
    std::lock_guard<std::mutex> lock(mutex_);
    return sum_;
  }

  std::atomic<int> bootstraps_{0};
  std::atomic<bool> fail_bootstrap_{false};
  std::atomic<bool> hold_bootstrap_{false};
  std::atomic<bool> hold_apply_{false};
  std::atomic<uint64_t> fail_at_{0};
  // So often a commit from that one on finds damage.
  std::atomic<uint64_t> damaged_from_{0};
  std::atomic<int> damages_left_{0};
  std::atomic<bool> room_{true};
  std::atomic<bool> bulk_room_{true};
  std::atomic<uint64_t> not_indexed_{0};

 private:
  const std::string name_;
  mutable std::mutex mutex_;
  int64_t sum_ = 0;
  uint64_t last_ = 0;
};

class ViewHostTest : public testing::Test {
 protected:
  ViewHostTest() { MakeHost({}); }
  ~ViewHostTest() override {
    for (SumView* view : {a_, b_}) {
      view->hold_apply_ = false;
      view->hold_bootstrap_ = false;
    }
  }

  void MakeHost(ViewHostOptions options) {
    host_ = std::make_unique<ViewHost>(
        store_, [this] { return store_.Read(); }, options);
    a_ = host_->Add(std::make_unique<SumView>("a"));
    b_ = host_->Add(std::make_unique<SumView>("b"));
  }

  uint64_t Put(int key, int64_t value) {
    internal::v1::ChangeRecord change;
    auto* object = change.add_events()->mutable_object();
    if (auto it = values_.find(key); it != values_.end()) {
      object->set_before(std::to_string(it->second));
      sum_ -= it->second;
    }
    values_[key] = value;
    sum_ += value;
    object->set_after(std::to_string(value));
    const std::string bytes = change.SerializeAsString();
    const uint64_t commit = store_.Write({{std::to_string(key), std::to_string(value)}}, bytes);
    host_->OnPublish(commit, static_cast<int64_t>(bytes.size()));
    return commit;
  }

  void StartAndWait() {
    ASSERT_TRUE(host_->Start().ok());
    CallContext context(Soon());
    ASSERT_TRUE(host_->WaitBuilt("a", context).ok());
    ASSERT_TRUE(host_->WaitBuilt("b", context).ok());
  }

  ViewStatus StatusOf(const std::string& name) {
    for (ViewStatus& status : host_->Status()) {
      if (status.name == name) return status;
    }
    ADD_FAILURE() << name;
    return {};
  }

  FakeStore store_;
  std::map<int, int64_t> values_;
  int64_t sum_ = 0;
  int64_t last_value_ = 0;
  std::unique_ptr<ViewHost> host_;
  SumView* a_ = nullptr;
  SumView* b_ = nullptr;
};

TEST_F(ViewHostTest, BuildsFromASnapshotAndFollowsTheLog) {
  for (int i = 0; i < 100; ++i) Put(i % 10, i);
  StartAndWait();
  uint64_t commit = 0;
  for (int i = 0; i < 1000; ++i) commit = Put(i % 20, i * 3);
  ASSERT_TRUE(host_->WaitAllVisible(commit, Soon()));
  EXPECT_EQ(a_->sum(), sum_);
  EXPECT_EQ(b_->sum(), sum_);
  const ViewStatus status = StatusOf("a");
  EXPECT_EQ(status.state, ViewState::kReady);
  EXPECT_EQ(status.visible, commit);
  EXPECT_EQ(status.indexed, commit);
  EXPECT_EQ(status.progress, 1);
  EXPECT_EQ(status.memory_bytes, 8);
}

TEST_F(ViewHostTest, WaitsOnlyWhereWaitingHelps) {
  // Not started: nothing to wait for.
  EXPECT_FALSE(host_->WaitVisible(a_, 0, Soon()));
  StartAndWait();
  const uint64_t commit = Put(1, 1);
  ASSERT_TRUE(host_->WaitVisible(a_, commit, Soon()));
  // A commit that never comes.
  EXPECT_FALSE(host_->WaitVisible(a_, commit + 1, Clock::now() + std::chrono::milliseconds(5)));
  SumView stranger("a");
  EXPECT_FALSE(host_->WaitVisible(&stranger, 0, Soon()));
}

TEST_F(ViewHostTest, WaitEndsWhenTheCommitArrives) {
  StartAndWait();
  std::atomic<bool> seen{false};
  std::thread waiter([&] { seen = host_->WaitVisible(a_, 1, Soon()); });
  Put(1, 5);
  waiter.join();
  EXPECT_TRUE(seen);
}

TEST_F(ViewHostTest, RebuildsWhileWritersWrite) {
  StartAndWait();
  std::thread rebuilder([&] {
    for (int i = 0; i < 20; ++i) {
      EXPECT_TRUE(host_->Rebuild(i % 2 == 0 ? "a" : "b").ok());
      CallContext context(Soon());
      EXPECT_TRUE(host_->WaitBuilt(i % 2 == 0 ? "a" : "b", context).ok());
    }
  });
  uint64_t commit = 0;
  for (int i = 0; i < 3000; ++i) commit = Put(i % 50, i);
  rebuilder.join();
  ASSERT_TRUE(host_->WaitAllVisible(commit, Soon()));
  EXPECT_EQ(a_->sum(), sum_);
  EXPECT_EQ(b_->sum(), sum_);
  EXPECT_GE(a_->bootstraps_, 2);
  const auto unknown = host_->Rebuild("c");
  ASSERT_TRUE(GetErrorDetail(unknown).has_value());
  EXPECT_EQ(GetErrorDetail(unknown)->reason, "VIEW_NOT_FOUND");
}

TEST_F(ViewHostTest, AFailedViewSaysWhyAndCanBeRebuilt) {
  StartAndWait();
  a_->fail_at_ = 1;
  const uint64_t commit = Put(1, 7);
  ASSERT_TRUE(host_->WaitVisible(b_, commit, Soon()));
  EXPECT_FALSE(host_->WaitVisible(a_, commit, Soon()));
  ViewStatus status = StatusOf("a");
  EXPECT_EQ(status.state, ViewState::kFailed);
  EXPECT_NE(status.error.find("thrown by a library"), std::string::npos) << status.error;
  // It holds nobody up.
  CallContext context(Soon());
  EXPECT_TRUE(host_->WaitForRoom(context).ok());
  a_->fail_at_ = 0;
  a_->fail_bootstrap_ = true;
  ASSERT_TRUE(host_->Rebuild("a").ok());
  ASSERT_TRUE(host_->WaitBuilt("a", context).ok());
  EXPECT_EQ(StatusOf("a").error, "no bootstrap today");
  a_->fail_bootstrap_ = false;
  ASSERT_TRUE(host_->Rebuild("a").ok());
  ASSERT_TRUE(host_->WaitBuilt("a", context).ok());
  EXPECT_EQ(StatusOf("a").state, ViewState::kReady);
  EXPECT_EQ(a_->sum(), 7);
}

TEST_F(ViewHostTest, ADamagedViewThatWasBuiltInThisRunIsBuiltAgain) {
  std::mutex mutex;
  std::vector<std::string> said;
  ViewHostOptions options;
  options.rebuild_delay = std::chrono::milliseconds(1);
  options.log = [&](std::string_view, std::string_view message) {
    std::lock_guard<std::mutex> lock(mutex);
    said.emplace_back(message);
  };
  MakeHost(options);
  StartAndWait();
  a_->hold_bootstrap_ = true;
  a_->damages_left_ = 1;
  Put(1, 7);
  while (a_->bootstraps_ < 2) std::this_thread::yield();
  ViewStatus status = StatusOf("a");
  EXPECT_EQ(status.state, ViewState::kBuilding);
  EXPECT_EQ(status.error, "it is built again, attempt 1 of 3: a cell is damaged");
  EXPECT_EQ(status.rebuilds, 1);
  a_->hold_bootstrap_ = false;
  CallContext context(Soon());
  ASSERT_TRUE(host_->WaitBuilt("a", context).ok());
  const uint64_t commit = Put(2, 3);
  ASSERT_TRUE(host_->WaitVisible(a_, commit, Soon()));
  EXPECT_EQ(a_->sum(), sum_);
  status = StatusOf("a");
  EXPECT_EQ(status.state, ViewState::kReady);
  EXPECT_EQ(status.error, "");
  EXPECT_EQ(status.counters["rebuilds"], 1);
  host_.reset();
  ASSERT_EQ(said.size(), 1u);
  EXPECT_EQ(said[0], "the view a is damaged: it is built again, attempt 1 of 3: a cell is damaged");
  MakeHost({});
}

TEST_F(ViewHostTest, AViewThatIsDamagedAgainAndAgainFails) {
  ViewHostOptions options;
  options.rebuild_attempts = 2;
  options.rebuild_delay = std::chrono::milliseconds(1);
  MakeHost(options);
  StartAndWait();
  a_->damages_left_ = 1000;
  const auto fail = [&] {
    while (StatusOf("a").state != ViewState::kFailed) Put(1, ++last_value_);
  };
  fail();
  EXPECT_EQ(a_->bootstraps_, 3);
  EXPECT_EQ(StatusOf("a").error, "a cell is damaged");
  EXPECT_EQ(StatusOf("a").rebuilds, 2);
  // Whoever rebuilds it gives it as many attempts again.
  CallContext context(Soon());
  ASSERT_TRUE(host_->Rebuild("a").ok());
  ASSERT_TRUE(host_->WaitBuilt("a", context).ok());
  fail();
  EXPECT_EQ(a_->bootstraps_, 6);
  a_->damages_left_ = 0;
  ASSERT_TRUE(host_->Rebuild("a").ok());
  ASSERT_TRUE(host_->WaitBuilt("a", context).ok());
  EXPECT_EQ(StatusOf("a").state, ViewState::kReady);
}

TEST_F(ViewHostTest, DamageOfLongAgoDoesNotCount) {
  ViewHostOptions options;
  options.rebuild_attempts = 1;
  options.rebuild_delay = std::chrono::milliseconds(0);
  options.rebuild_forgotten = std::chrono::milliseconds(0);
  MakeHost(options);
  StartAndWait();
  for (int i = 1; i <= 5; ++i) {
    a_->damages_left_ = 1;
    while (a_->damages_left_ > 0) Put(1, i);
    CallContext context(Soon());
    while (StatusOf("a").rebuilds < i) std::this_thread::yield();
    ASSERT_TRUE(host_->WaitBuilt("a", context).ok());
    EXPECT_EQ(StatusOf("a").state, ViewState::kReady);
  }
}

TEST_F(ViewHostTest, StopsWhileADamagedViewWaits) {
  ViewHostOptions options;
  options.rebuild_delay = std::chrono::hours(1);
  MakeHost(options);
  StartAndWait();
  a_->damages_left_ = 1;
  const uint64_t commit = Put(1, 1);
  ASSERT_TRUE(host_->WaitVisible(b_, commit, Soon()));
  while (StatusOf("a").rebuilds == 0) std::this_thread::yield();
  // Readers go to the store meanwhile.
  EXPECT_FALSE(host_->WaitVisible(a_, commit, Soon()));
  host_->Stop();
  EXPECT_EQ(a_->bootstraps_, 1);
}

TEST_F(ViewHostTest, BuildsAgainWhenTheLogLeavesItBehind) {
  StartAndWait();
  a_->hold_apply_ = true;
  Put(1, 1);
  // More than one batch, so that the view must ask the log again.
  for (int i = 0; i < 600; ++i) Put(2, i);
  store_.CutLog(600);
  a_->hold_apply_ = false;
  const int before = a_->bootstraps_;
  while (a_->bootstraps_ == before) std::this_thread::yield();
  CallContext context(Soon());
  ASSERT_TRUE(host_->WaitBuilt("a", context).ok());
  ASSERT_TRUE(host_->WaitVisible(a_, 601, Soon()));
  EXPECT_EQ(a_->sum(), sum_);
}

TEST_F(ViewHostTest, WritersWaitForViewsThatLagByCommits) {
  ViewHostOptions options;
  options.max_lag_commits = 10;
  MakeHost(options);
  StartAndWait();
  a_->hold_apply_ = true;
  for (int i = 0; i < 9; ++i) Put(1, i);
  CallContext enough(Soon());
  EXPECT_TRUE(host_->WaitForRoom(enough).ok());
  Put(1, 9);
  CallContext short_wait(Clock::now() + std::chrono::milliseconds(20));
  EXPECT_EQ(host_->WaitForRoom(short_wait).code(), absl::StatusCode::kDeadlineExceeded);
  CallContext cancelled(Soon());
  cancelled.Cancel();
  EXPECT_EQ(host_->WaitForRoom(cancelled).code(), absl::StatusCode::kCancelled);
  std::thread writer([&] { EXPECT_TRUE(host_->WaitForRoom(enough).ok()); });
  a_->hold_apply_ = false;
  writer.join();
}

TEST_F(ViewHostTest, WritersWaitForViewsThatLagByBytes) {
  ViewHostOptions options;
  options.max_lag_bytes = 1000;
  MakeHost(options);
  StartAndWait();
  a_->hold_apply_ = true;
  host_->OnPublish(Put(1, 1), 999);
  CallContext short_wait(Clock::now() + std::chrono::milliseconds(20));
  EXPECT_EQ(host_->WaitForRoom(short_wait).code(), absl::StatusCode::kDeadlineExceeded);
  a_->hold_apply_ = false;
  CallContext enough(Soon());
  EXPECT_TRUE(host_->WaitForRoom(enough).ok());
}

TEST_F(ViewHostTest, WritersWaitForViewsWithoutRoom) {
  a_->room_ = false;
  CallContext enough(Soon());
  // Nobody waits for a view that is not ready.
  EXPECT_TRUE(host_->WaitForRoom(enough).ok());
  StartAndWait();
  CallContext short_wait(Clock::now() + std::chrono::milliseconds(20));
  EXPECT_EQ(host_->WaitForRoom(short_wait).code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_TRUE(host_->WaitForRoom(enough, /*bulk=*/true).ok());
  a_->bulk_room_ = false;
  CallContext cancelled(Soon());
  cancelled.Cancel();
  EXPECT_EQ(host_->WaitForRoom(cancelled, /*bulk=*/true).code(), absl::StatusCode::kCancelled);
  std::thread writer([&] { EXPECT_TRUE(host_->WaitForRoom(enough).ok()); });
  a_->room_ = true;
  writer.join();
  // All views must have room.
  b_->room_ = false;
  CallContext another(Clock::now() + std::chrono::milliseconds(20));
  EXPECT_EQ(host_->WaitForRoom(another).code(), absl::StatusCode::kDeadlineExceeded);
}

TEST_F(ViewHostTest, SaysHowFarTheStructureProperIs) {
  StartAndWait();
  uint64_t commit = 0;
  for (int i = 0; i < 10; ++i) commit = Put(1, i);
  ASSERT_TRUE(host_->WaitAllVisible(commit, Soon()));
  a_->not_indexed_ = 4;
  EXPECT_EQ(StatusOf("a").visible, commit);
  EXPECT_EQ(StatusOf("a").indexed, commit - 4);
  EXPECT_EQ(StatusOf("b").indexed, commit);
}

TEST_F(ViewHostTest, StopsInTheMiddleOfAnything) {
  a_->hold_bootstrap_ = true;
  ASSERT_TRUE(host_->Start().ok());
  CallContext context(Soon());
  ASSERT_TRUE(host_->WaitBuilt("b", context).ok());
  EXPECT_EQ(StatusOf("a").state, ViewState::kBuilding);
  std::thread waiter([&] {
    CallContext mine(Soon());
    EXPECT_EQ(host_->WaitBuilt("a", mine).code(), absl::StatusCode::kUnavailable);
  });
  std::thread other([&] { EXPECT_FALSE(host_->WaitVisible(b_, 1000, Soon())); });
  host_->Stop();
  waiter.join();
  other.join();
  host_->Stop();
  EXPECT_FALSE(host_->WaitVisible(b_, 0, Soon()));
  EXPECT_TRUE(host_->WaitForRoom(context).ok());
  EXPECT_EQ(host_->Rebuild("a").code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace cookix::engine
