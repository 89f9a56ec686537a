// One server's part in an election, with the server around it and the coordinator scripted.
#include "server/election/election.h"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "server/election/scripted_coordinator.h"

namespace cookix::server {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kPatience{50};

// True as soon as `condition` holds, false after five seconds.
bool Soon(const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(milliseconds(1));
  }
  return true;
}

class ScriptedHost final : public ElectionHost {
 public:
  Self GetSelf() override {
    const std::lock_guard<std::mutex> lock(mutex_);
    return self_;
  }
  absl::Status Found() override { return absl::OkStatus(); }
  absl::Status Lead(uint64_t epoch) override {
    const std::lock_guard<std::mutex> lock(mutex_);
    ++attempts_;
    if (!disk_.ok()) return disk_;
    self_.epoch = epoch;
    self_.primary = true;
    if (!becomes_.empty()) self_.member = becomes_;
    return absl::OkStatus();
  }
  void StandDown() override {
    const std::lock_guard<std::mutex> lock(mutex_);
    self_.primary = false;
  }
  void FollowLeader(const std::string&) override {}
  std::vector<Follower> Followers() override {
    ++looks_;
    const std::lock_guard<std::mutex> lock(mutex_);
    return followers_;
  }
  uint64_t Latest() override {
    const std::lock_guard<std::mutex> lock(mutex_);
    return self_.commit;
  }
  void Say(std::string_view, std::string_view) override {}

  void Follow(std::vector<Follower> followers) {
    const std::lock_guard<std::mutex> lock(mutex_);
    followers_ = std::move(followers);
  }
  // Its store is replaced while it begins to lead.
  void BecomeAnother(const std::string& member) {
    const std::lock_guard<std::mutex> lock(mutex_);
    becomes_ = member;
  }
  void SetDisk(const absl::Status& disk) {
    const std::lock_guard<std::mutex> lock(mutex_);
    disk_ = disk;
  }
  int looks() const { return looks_; }
  // How often it was to lead.
  int attempts() const { return attempts_; }

 private:
  std::atomic<int> looks_{0};
  std::atomic<int> attempts_{0};
  std::mutex mutex_;
  absl::Status disk_;  // guarded by mutex_
  // With ten commits; guarded by mutex_.
  Self self_{"a1", "store", 1, 10, 10, "a:1", false, ""};
  std::vector<Follower> followers_;  // guarded by mutex_
  std::string becomes_;              // guarded by mutex_
};

Follower Has(const std::string& name, uint64_t received) {
  return {{name + "1", name}, true, received};
}

class ElectionThreadsTest : public testing::Test {
 protected:
  void Start(int sync_replicas, milliseconds patience = kPatience) {
    ElectionOptions options;
    options.name = "a";
    options.founder = true;
    options.lease = std::chrono::seconds(60);
    options.margin = std::chrono::seconds(1);
    options.sync_replicas = sync_replicas;
    options.max_lag = 20;
    options.lead_tick = milliseconds(3);
    options.follow_tick = milliseconds(5);
    options.courtesy = milliseconds(20);
    options.patience = patience;
    options.stand_back = milliseconds(500);
    options.longest_stand_back = milliseconds(1500);
    options.clock = [this] { return now_ms_ < 0 ? BootClock() : milliseconds(now_ms_); };
    connection_ = coordinator_.Connect([this] {
      ++calls_;
      return fate_.load();
    });
    election_ = std::make_unique<Election>(options, *connection_, host_);
    election_->Start();
  }

  bool Leads() {
    return Soon([this] { return election_->MayAcknowledge(); });
  }

  // Whether all ten commits may be acknowledged.
  bool Acknowledges() { return election_->Replicated(10, host_.Followers()); }

  bool InSync(const std::set<std::string>& ids) {
    std::set<std::string> in_sync;
    const ClusterState state = coordinator_.State();
    if (!state.record.has_value()) return false;
    for (const ClusterMember& member : state.record->in_sync) in_sync.insert(member.id);
    return in_sync == ids;
  }

  // Of questions to the coordinator.
  std::atomic<int> calls_{0};
  // What the clock says; -1 = it goes.
  std::atomic<int64_t> now_ms_{-1};
  std::atomic<CallFate> fate_{CallFate::kAnswered};
  ScriptedCoordinator coordinator_;
  ScriptedHost host_;
  std::shared_ptr<Coordinator> connection_;
  std::unique_ptr<Election> election_;
};

TEST_F(ElectionThreadsTest, WhatIsAcknowledgedIsWhereSomebodyMayLead) {
  Start(1);
  ASSERT_TRUE(Leads());
  EXPECT_FALSE(Acknowledges());
  fate_ = CallFate::kRequestLost;
  // It has everything, and may not lead until etcd knows that.
  host_.Follow({Has("b", 10)});
  ASSERT_TRUE(Soon([&] {
    v1::ClusterStatus status;
    election_->Describe("a1", &status);
    return !status.last_error().empty();
  }));
  EXPECT_FALSE(Acknowledges());
  fate_ = CallFate::kAnswered;
  EXPECT_TRUE(Soon([&] { return Acknowledges(); }));
  EXPECT_TRUE(InSync({"a1", "b1"}));
}

TEST_F(ElectionThreadsTest, WhoGetsNowhereHoldsNothingUp) {
  Start(1);
  host_.Follow({Has("b", 10)});
  ASSERT_TRUE(Soon([&] { return InSync({"a1", "b1"}) && Acknowledges(); }));
  // The next to come in takes nothing, and the one before comes back.
  host_.Follow({Has("c", 5)});
  ASSERT_TRUE(Soon([&] { return !Acknowledges(); }));
  const int looks = host_.looks();
  const auto since = BootClock();
  ASSERT_TRUE(Soon([&] { return BootClock() - since > 2 * kPatience; }));
  ASSERT_TRUE(Soon([&] { return host_.looks() > looks + 3; }));
  host_.Follow({Has("b", 10), Has("c", 5)});
  EXPECT_TRUE(Soon([&] { return Acknowledges(); }));
  // Or another one comes, who has nearly everything.
  host_.Follow({Has("c", 5)});
  ASSERT_TRUE(Soon([&] { return !Acknowledges(); }));
  host_.Follow({Has("c", 5), Has("d", 10)});
  EXPECT_TRUE(Soon([&] { return InSync({"a1", "d1"}) && Acknowledges(); }));
}

TEST_F(ElectionThreadsTest, WhoTakesNoPartInElectionsIsNotInSync) {
  for (const int sync_replicas : {0, 1}) {
    SCOPED_TRACE(sync_replicas);
    Start(sync_replicas);
    ASSERT_TRUE(Leads());
    // A replica that an operator started beside the cluster.
    host_.Follow({{{"", "reader"}, true, 10}});
    const int looks = host_.looks();
    ASSERT_TRUE(Soon([&] { return host_.looks() > looks + 5; }));
    EXPECT_TRUE(InSync({"a1"}));
    EXPECT_EQ(Acknowledges(), sync_replicas == 0);
    election_->Stop();
  }
}

TEST_F(ElectionThreadsTest, WhoBecameAnotherDoesNotLead) {
  host_.BecomeAnother("a2");
  Start(0);
  ASSERT_TRUE(Soon([&] { return coordinator_.State().record.has_value(); }));
  // The list has what it was before.
  ASSERT_TRUE(Soon([&] {
    v1::ClusterStatus status;
    election_->Describe("a2", &status);
    return status.waiting_for().find("may lack") != std::string::npos && !status.self_in_sync();
  }));
  EXPECT_FALSE(election_->MayAcknowledge());
  EXPECT_FALSE(host_.GetSelf().primary);
  EXPECT_FALSE(coordinator_.State().leader.has_value());
}

TEST_F(ElectionThreadsTest, WhoCannotBeginToLeadLetsOthersTry) {
  host_.SetDisk(absl::ResourceExhaustedError("the disk is full"));
  now_ms_ = 1'000'000;
  Start(0);
  const auto waits = [this] {
    v1::ClusterStatus status;
    election_->Describe("a1", &status);
    return status.waiting_for().find("the disk is full") != std::string::npos;
  };
  // Twice as long each time, until it is long enough.
  for (const auto& [attempts, pause_ms] : {std::pair{1, 500}, {2, 1000}, {3, 1500}, {4, 1500}}) {
    ASSERT_TRUE(Soon([&] { return host_.attempts() == attempts && waits(); })) << attempts;
    now_ms_ += pause_ms - 1;
    const int calls = calls_;
    ASSERT_TRUE(Soon([&] { return calls_ > calls + 5; }));
    EXPECT_EQ(host_.attempts(), attempts);
    EXPECT_FALSE(coordinator_.State().leader.has_value());
    ++now_ms_;
  }
  // An operator need not wait.
  ASSERT_TRUE(Soon([&] { return host_.attempts() == 5 && waits(); }));
  const auto soon = std::chrono::steady_clock::now() + std::chrono::milliseconds(50);
  EXPECT_FALSE(election_->Campaign(false, soon).ok());
  EXPECT_GT(host_.attempts(), 5);
  host_.SetDisk(absl::OkStatus());
  now_ms_ += 1'500;
  EXPECT_TRUE(Leads());
}

TEST_F(ElectionThreadsTest, WritersInAHurryDoNotKeepAProcessorBusy) {
  Start(1);
  ASSERT_TRUE(Leads());
  const int looks = host_.looks();
  const auto since = BootClock();
  while (BootClock() - since < milliseconds(200)) election_->Hurry();
  EXPECT_LE(host_.looks() - looks, 150);
}

TEST_F(ElectionThreadsTest, ALeaderThatStopsWaitsForWhoTakesOver) {
  Start(0, std::chrono::minutes(1));
  host_.Follow({Has("b", 5)});
  ASSERT_TRUE(Soon([&] { return InSync({"a1", "b1"}); }));
  std::thread stop([&] { election_->Stop(); });
  EXPECT_TRUE(Soon([&] { return !host_.GetSelf().primary; }));
  const int looks = host_.looks();
  EXPECT_TRUE(Soon([&] { return host_.looks() > looks + 3; }));
  EXPECT_TRUE(coordinator_.State().leader.has_value());
  host_.Follow({Has("b", 10)});
  stop.join();
  EXPECT_FALSE(coordinator_.State().leader.has_value());
  EXPECT_EQ(coordinator_.State().record->successor, "b1");
}

TEST_F(ElectionThreadsTest, WhoIsAwayGoesWhenSomebodyWaits) {
  Start(0, std::chrono::minutes(1));
  host_.Follow({Has("b", 10)});
  ASSERT_TRUE(Soon([&] { return InSync({"a1", "b1"}); }));
  host_.Follow({});
  const int looks = host_.looks();
  ASSERT_TRUE(Soon([&] { return host_.looks() > looks + 5; }));
  EXPECT_TRUE(InSync({"a1", "b1"}));
  EXPECT_FALSE(Acknowledges());
  election_->Hurry();
  EXPECT_TRUE(Soon([&] { return InSync({"a1"}) && Acknowledges(); }));
}

TEST_F(ElectionThreadsTest, ALeaderThatLearnsThatItIsNoneGivesUpAtOnce) {
  Start(1);
  ASSERT_TRUE(Leads());
  const uint64_t epoch = host_.GetSelf().epoch;
  // Somebody removes its key, long before it renews its lease.
  coordinator_.RemoveLeader();
  host_.Follow({Has("b", 10)});
  EXPECT_TRUE(Soon([&] { return host_.GetSelf().epoch > epoch; }));
}

}  // namespace
}  // namespace cookix::server
