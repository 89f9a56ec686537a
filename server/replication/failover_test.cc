// Servers that elect their primary, over a network and with a coordinator that do their worst.
// No gRPC, so that the thread sanitizer sees everything.
#include <algorithm>
#include <atomic>
#include <memory>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "engine/database.h"
#include "gtest/gtest.h"
#include "server/replication/replication.h"
#include "server/replication/scripted_cluster.h"
#include "storage/base/status.h"
#include "storage/note_file.h"

namespace cookix::server {
namespace {

std::string Reason(const absl::Status& status) {
  const auto detail = GetErrorDetail(status);
  return detail.has_value() ? detail->reason : "";
}

class FailoverThreadsTest : public testing::Test {
 protected:
  // "a" founds the cluster.
  void StartThree(int sync_replicas) {
    for (const char* name : {"a", "b", "c"}) {
      ScriptedNode& node = cluster_.Add(name);
      node.options().sync_replicas = sync_replicas;
      ASSERT_TRUE(node.StartElecting(name == std::string("a")).ok());
    }
    ASSERT_TRUE(Soon([&] { return cluster_["a"].Put("first").ok(); }));
    ASSERT_TRUE(Soon([&] { return Equal(); }));
  }

  // The server that takes writes; empty when none does.
  std::string Leader() {
    for (const char* name : {"a", "b", "c"}) {
      if (cluster_[name].running() && cluster_[name].replication().CheckPrimary().ok()) {
        return name;
      }
    }
    return "";
  }

  // Writes to whoever leads, until one acknowledges.
  bool PutSoon(const std::string& key) {
    return Soon([&] {
      const std::string leader = Leader();
      return !leader.empty() && cluster_[leader].Put(key).ok();
    });
  }

  // All that run have the same.
  bool Equal() {
    std::set<std::string> contents;
    for (const char* name : {"a", "b", "c"}) {
      if (cluster_[name].running()) contents.insert(cluster_[name].Content());
    }
    return contents.size() == 1 && !contents.begin()->empty();
  }

  bool Has(const std::string& name, const std::string& key) {
    const std::vector<std::string> keys = cluster_[name].Keys();
    return std::find(keys.begin(), keys.end(), key) != keys.end();
  }

  bool InSync(const std::set<std::string>& names) {
    const ClusterState state = cluster_.coordinator().State();
    std::set<std::string> in_sync;
    if (!state.record.has_value()) return false;
    for (const ClusterMember& member : state.record->in_sync) in_sync.insert(member.name);
    return in_sync == names;
  }

  ScriptedCluster cluster_;
};

TEST_F(FailoverThreadsTest, AnotherLeadsWhenTheLeaderIsGone) {
  StartThree(1);
  EXPECT_EQ(Reason(cluster_["b"].Put("no")), "NOT_PRIMARY");
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(cluster_["a"].Put("k" + std::to_string(i)).ok());
  cluster_["a"].Stop(/*power_failure=*/true);
  // Its lease ends by itself.
  EXPECT_TRUE(cluster_.coordinator().State().leader.has_value());
  ASSERT_TRUE(PutSoon("after"));
  const std::string leader = Leader();
  for (int i = 0; i < 50; ++i) EXPECT_TRUE(Has(leader, "k" + std::to_string(i))) << i;
  EXPECT_EQ(cluster_[leader].Status().cluster().elections_won(), 1);
  EXPECT_EQ(cluster_[leader].Status().cluster().leader(), leader);
  // The former leader has nothing that others lack: it goes on with what it has.
  ASSERT_TRUE(cluster_["a"].StartElecting(true).ok());
  EXPECT_TRUE(Soon([&] { return Equal() && cluster_["a"].Status().primary_address() == leader; }))
      << cluster_["a"].Status().ShortDebugString();
  EXPECT_EQ(cluster_["a"].Status().seeds(), 0);
}

TEST_F(FailoverThreadsTest, ALeaderThatTookNoWritesGoesOnWithWhatItHas) {
  StartThree(1);
  cluster_["a"].Stop(/*power_failure=*/true);
  ASSERT_TRUE(Soon([&] { return !Leader().empty(); }));
  const std::string second = Leader();
  ASSERT_TRUE(Soon([&] { return InSync({second, second == "b" ? "c" : "b"}); }));
  cluster_[second].Stop(/*power_failure=*/true);
  ASSERT_TRUE(cluster_["a"].StartElecting().ok());
  ASSERT_TRUE(PutSoon("after"));
  ASSERT_TRUE(cluster_[second].StartElecting().ok());
  EXPECT_TRUE(Soon([&] { return Equal() && Leader() != second; }));
  for (const char* name : {"a", "b", "c"}) EXPECT_EQ(cluster_[name].Status().seeds(), 0) << name;
}

TEST_F(FailoverThreadsTest, ALeaderThatIsStartedAnewLeadsAtOnce) {
  StartThree(0);
  const auto epoch = cluster_["a"].Status().epoch();
  for (const char* other : {"b", "c"}) cluster_[other].Stop();
  cluster_["a"].Stop(/*power_failure=*/true);
  ASSERT_TRUE(cluster_["a"].StartElecting().ok());
  ASSERT_TRUE(Soon([&] { return cluster_["a"].Put("again").ok(); }));
  EXPECT_GT(cluster_["a"].Status().epoch(), epoch);
}

TEST_F(FailoverThreadsTest, WhoMayLackWritesDoesNotLead) {
  StartThree(1);
  ASSERT_TRUE(Soon([&] { return InSync({"a", "b"}) || InSync({"a", "c"}); }));
  const std::string second = InSync({"a", "b"}) ? "b" : "c";
  const std::string third = second == "b" ? "c" : "b";
  cluster_.CutBoth("a", third);
  ASSERT_TRUE(cluster_["a"].Put("only on two").ok());
  cluster_["a"].Stop();
  cluster_[second].Stop();
  ASSERT_TRUE(Soon([&] {
    return cluster_[third].Status().cluster().waiting_for().find("may lack") != std::string::npos;
  })) << cluster_[third].Status().ShortDebugString();
  EXPECT_EQ(Leader(), "");
  // Nor when it is asked to, unless what it lacks is given up.
  v1::PromoteRequest request;
  v1::PromoteResponse response;
  EXPECT_EQ(Reason(cluster_[third].replication().Promote(request, &response)), "REPLICA_BEHIND");
  cluster_.HealAll();
  ASSERT_TRUE(cluster_[second].StartElecting().ok());
  ASSERT_TRUE(PutSoon("after"));
  EXPECT_EQ(Leader(), second);
  EXPECT_TRUE(Has(second, "only on two"));
}

TEST_F(FailoverThreadsTest, ALeaderMakesWayOnlyForWhoMayLead) {
  StartThree(1);
  ASSERT_TRUE(Soon([&] { return InSync({"a", "b"}) || InSync({"a", "c"}); }));
  const std::string third = InSync({"a", "b"}) ? "c" : "b";
  EXPECT_FALSE(cluster_[third].Status().cluster().self_in_sync());
  const auto epoch = cluster_["a"].Status().epoch();
  v1::PromoteRequest request;
  v1::PromoteResponse response;
  EXPECT_EQ(Reason(cluster_[third].replication().Promote(request, &response)), "REPLICA_BEHIND");
  EXPECT_EQ(Leader(), "a");
  EXPECT_EQ(cluster_["a"].Status().epoch(), epoch);
}

TEST_F(FailoverThreadsTest, AServerThatCannotNoteWhoItIsTakesNoPart) {
  ScriptedNode& node = cluster_.Add("a");
  node.files().FailAt(storage::FaultInjectionFileSystem::kAnyWrite, 0,
                      storage::FaultInjectionFileSystem::Fault::kNoSpace,
                      /*sticky=*/true, std::string(storage::kMemberNote));
  EXPECT_FALSE(node.StartElecting(true).ok());
  node.Stop();
  node.files().Heal();
  ASSERT_TRUE(node.StartElecting(true).ok());
  EXPECT_TRUE(Soon([&] { return node.Put("first").ok(); }));
}

TEST_F(FailoverThreadsTest, WhatOthersHadOfAnotherStoreCountsForNothing) {
  StartThree(0);
  ASSERT_TRUE(Soon([&] { return cluster_["a"].replication().source().Followers().size() == 2; }));
  cluster_["b"].Stop();
  cluster_["c"].Stop();
  EXPECT_EQ(cluster_["a"].replication().source().Followers().size(), 2u);
  // As before a copy takes the place of the store.
  cluster_["a"].replication().source().Pause();
  EXPECT_TRUE(cluster_["a"].replication().source().Followers().empty());
}

TEST_F(FailoverThreadsTest, AStoreIsPreparedBeforeItFoundsACluster) {
  ScriptedNode& node = cluster_.Add("a");
  node.options().prepare = [](engine::Database&) {
    return absl::FailedPreconditionError("no room for the key");
  };
  ASSERT_TRUE(node.StartElecting(true).ok());
  ASSERT_TRUE(Soon(
      [&] { return node.Status().cluster().waiting_for().find("no room") != std::string::npos; }));
  node.Stop();
  // The store is there, and does not have yet what the founder puts into it.
  std::atomic<int> prepared{0};
  node.options().prepare = [&](engine::Database& database) {
    if (prepared.load() > 0) return absl::OkStatus();
    const auto commit = database.store().Commit(
        storage::CommitOptions(), [](storage::CommitBatch&) { return absl::OkStatus(); });
    if (commit.ok()) ++prepared;
    return commit.status();
  };
  ASSERT_TRUE(node.StartElecting(true).ok());
  ASSERT_TRUE(Soon([&] { return node.Put("first").ok(); }));
  EXPECT_EQ(prepared.load(), 1);
}

TEST_F(FailoverThreadsTest, AForcedPromotionLeadsWithWhatThereIs) {
  StartThree(0);
  ASSERT_TRUE(Soon([&] { return InSync({"a", "b", "c"}); }));
  cluster_["b"].Stop();
  cluster_["a"].Stop();
  ASSERT_TRUE(PutSoon("by c"));
  cluster_["c"].Stop();
  // "b" was taken out of the set by "c".
  ASSERT_TRUE(cluster_["b"].StartElecting().ok());
  v1::PromoteRequest request;
  request.set_force(true);
  v1::PromoteResponse response;
  ASSERT_TRUE(Soon([&] { return cluster_["b"].replication().Promote(request, &response).ok(); }));
  ASSERT_TRUE(cluster_["b"].Put("by b").ok());
  ASSERT_TRUE(cluster_["c"].StartElecting().ok());
  ASSERT_TRUE(cluster_["a"].StartElecting().ok());
  EXPECT_TRUE(Soon([&] { return Equal(); }));
  EXPECT_TRUE(Has("c", "by b"));
}

TEST_F(FailoverThreadsTest, ClocksThatJumpDecideNothing) {
  StartThree(1);
  std::mt19937_64 random(9);
  const auto jump = [&](const std::string& name) {
    constexpr int64_t kDayMs = 86'400'000;
    const auto ahead = static_cast<int64_t>(random() % (60 * kDayMs)) - 30 * kDayMs;
    cluster_[name].SetClockAhead(std::chrono::milliseconds(ahead));
  };
  std::vector<std::string> acknowledged;
  for (int round = 0; round < 4; ++round) {
    for (int i = 0; i < 25; ++i) {
      for (const char* name : {"a", "b", "c"}) jump(name);
      const std::string key = "k" + std::to_string(round) + "." + std::to_string(i);
      ASSERT_TRUE(PutSoon(key));
      acknowledged.push_back(key);
    }
    const std::string leader = Leader();
    ASSERT_FALSE(leader.empty());
    cluster_[leader].Stop(/*power_failure=*/true);
    ASSERT_TRUE(PutSoon("after" + std::to_string(round)));
    ASSERT_TRUE(cluster_[leader].StartElecting().ok());
    ASSERT_TRUE(Soon([&] { return Equal(); }));
    for (const char* name : {"a", "b", "c"}) {
      const auto status = cluster_[name].Status();
      EXPECT_GE(status.lag_ms(), 0) << name;
      EXPECT_LT(status.lag_ms(), 120'000) << name;
    }
  }
  for (const std::string& key : acknowledged) EXPECT_TRUE(Has("b", key)) << key;
}

TEST_F(FailoverThreadsTest, APlannedChangeLosesNothing) {
  StartThree(1);
  std::atomic<bool> stop{false};
  std::vector<std::string> acknowledged;
  std::atomic<int> count{0};
  std::thread writer([&] {
    for (int i = 0; !stop.load(); ++i) {
      const std::string key = "p" + std::to_string(i);
      const std::string leader = Leader();
      if (leader.empty() || !cluster_[leader].Put(key).ok()) continue;
      acknowledged.push_back(key);
      ++count;
    }
  });
  for (int round = 0; round < 6; ++round) {
    // Whoever is in sync and does not lead.
    std::string next;
    ASSERT_TRUE(Soon([&] {
      for (const char* name : {"a", "b", "c"}) {
        if (name != Leader() && cluster_[name].Status().cluster().self_in_sync() &&
            cluster_[name].Status().state() == v1::REPLICA_STATE_FOLLOWING) {
          next = name;
        }
      }
      return !next.empty();
    }));
    v1::PromoteRequest request;
    v1::PromoteResponse response;
    const absl::Status promoted = cluster_[next].replication().Promote(request, &response);
    if (promoted.ok()) {
      EXPECT_TRUE(response.former_primary_told());
    }
  }
  EXPECT_TRUE(PutSoon("last"));
  EXPECT_TRUE(Soon([&] { return count.load() > 10; }));
  stop = true;
  writer.join();
  ASSERT_TRUE(Soon([&] { return Equal(); }));
  const std::vector<std::string> keys = cluster_["c"].Keys();
  const std::set<std::string> there(keys.begin(), keys.end());
  for (const std::string& key : acknowledged) EXPECT_TRUE(there.count(key) > 0) << key;
  EXPECT_EQ(Reason(cluster_["a"].replication().Follow({})), "CONDITION_FAILED");
}

TEST_F(FailoverThreadsTest, WithoutTheCoordinatorALeaderStopsBeforeAnotherBegins) {
  StartThree(1);
  cluster_.CutBoth("a", "coordinator");
  ASSERT_TRUE(Soon([&] { return !cluster_["a"].replication().CheckPrimary().ok(); }));
  EXPECT_EQ(Reason(cluster_["a"].Put("late")), "NOT_PRIMARY");
  ASSERT_TRUE(PutSoon("after"));
  EXPECT_NE(Leader(), "a");
  EXPECT_FALSE(cluster_["a"].Status().cluster().last_error().empty());
  cluster_.HealAll();
  EXPECT_TRUE(Soon([&] { return Equal() && Has("a", "after"); }));
}

TEST_F(FailoverThreadsTest, WithoutTheCoordinatorReadsGoOn) {
  StartThree(0);
  for (const char* name : {"a", "b", "c"}) cluster_.CutBoth(name, "coordinator");
  ASSERT_TRUE(Soon([&] { return Leader().empty(); }));
  for (const char* name : {"a", "b", "c"}) EXPECT_TRUE(Has(name, "first"));
  // One that starts meanwhile serves what it has.
  cluster_["b"].Stop();
  ASSERT_TRUE(cluster_["b"].StartElecting().ok());
  EXPECT_TRUE(Has("b", "first"));
  EXPECT_EQ(Reason(cluster_["b"].Put("no")), "NOT_PRIMARY");
  cluster_.HealAll();
  EXPECT_TRUE(PutSoon("after"));
}

TEST_F(FailoverThreadsTest, ALeaderWhoseKeyWasRemovedGivesUp) {
  StartThree(0);
  const auto epoch = cluster_["a"].Status().epoch();
  cluster_.coordinator().RemoveLeader();
  ASSERT_TRUE(Soon([&] {
    const std::string leader = Leader();
    return !leader.empty() && cluster_[leader].Status().epoch() > epoch;
  }));
  EXPECT_TRUE(PutSoon("after"));
  EXPECT_TRUE(Soon([&] { return Equal(); }));
}

TEST_F(FailoverThreadsTest, WhoWasPromotedOutsideTheClusterLeadsNobodyAstray) {
  StartThree(1);
  ASSERT_TRUE(cluster_.Add("stray").Start("a").ok());
  ASSERT_TRUE(Soon([&] { return Has("stray", "first"); }));
  v1::PromoteRequest request;
  request.set_force(true);
  v1::PromoteResponse response;
  ASSERT_TRUE(cluster_["stray"].replication().Promote(request, &response).ok());
  ASSERT_TRUE(cluster_["stray"].Put("astray").ok());
  // It goes on telling the leader of its later epoch.
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(PutSoon("k" + std::to_string(i)));
  EXPECT_EQ(Leader(), "a");
  EXPECT_TRUE(Soon([&] { return Equal(); }));
  EXPECT_FALSE(Has("a", "astray"));
}

TEST_F(FailoverThreadsTest, AnEmptyDiskIsNotWhatWasInSync) {
  StartThree(1);
  ASSERT_TRUE(Soon([&] { return InSync({"a", "b"}) || InSync({"a", "c"}); }));
  const std::string second = InSync({"a", "b"}) ? "b" : "c";
  const std::string third = second == "b" ? "c" : "b";
  cluster_[third].Stop();
  ASSERT_TRUE(cluster_["a"].Put("precious").ok());
  cluster_["a"].Stop();
  // Its disk is replaced by one with what the third has.
  cluster_[second].Stop();
  cluster_[second].TakeDiskOf(cluster_[third]);
  ASSERT_TRUE(cluster_[second].StartElecting().ok());
  ASSERT_TRUE(Soon([&] { return !cluster_[second].Status().cluster().waiting_for().empty(); }));
  EXPECT_EQ(Leader(), "");
  ASSERT_TRUE(cluster_["a"].StartElecting().ok());
  ASSERT_TRUE(PutSoon("after"));
  EXPECT_TRUE(Has(Leader(), "precious"));
}

TEST_F(FailoverThreadsTest, NobodyFoundsWhatIsNotTold) {
  ASSERT_TRUE(cluster_.Add("a").StartElecting().ok());
  ASSERT_TRUE(Soon([&] {
    return cluster_["a"].Status().cluster().waiting_for() == "nobody has founded the cluster yet";
  }));
  EXPECT_EQ(cluster_["a"].commit(), 0u);
  // A store from before is what the cluster begins with.
  ScriptedNode& old = cluster_.Add("b");
  ASSERT_TRUE(old.Start("").ok());
  ASSERT_TRUE(old.Put("old").ok());
  old.Stop();
  ASSERT_TRUE(old.StartElecting(true).ok());
  ASSERT_TRUE(Soon([&] { return Has("a", "old"); }));
  // Another store does not mix with it.
  ScriptedNode& other = cluster_.Add("c");
  ASSERT_TRUE(other.Start("").ok());
  ASSERT_TRUE(other.Put("other").ok());
  other.Stop();
  ASSERT_TRUE(other.StartElecting(true).ok());
  ASSERT_TRUE(Soon([&] {
    return other.Status().last_error().find("the store here is") != std::string::npos;
  })) << other.Status().ShortDebugString();
  EXPECT_TRUE(Has("c", "other"));
  EXPECT_FALSE(Has("c", "old"));
}

// Everything at once, and what was acknowledged is there in the end.
TEST_F(FailoverThreadsTest, NothingAcknowledgedIsEverLost) {
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    ScriptedCluster fresh;
    std::mutex mutex;
    std::mt19937_64 random(seed);
    const auto draw = [&](uint64_t below) {
      const std::lock_guard<std::mutex> lock(mutex);
      return random() % below;
    };
    const std::vector<std::string> names = {"a", "b", "c"};
    for (const std::string& name : names) {
      fresh.Add(name).options().sync_replicas = 1;
      ASSERT_TRUE(fresh[name].StartElecting(name == "a").ok());
    }
    // Held while a server is started or stopped; writers share it.
    std::map<std::string, std::mutex> running;
    for (const std::string& name : names) running[name];
    std::atomic<bool> stop{false};
    std::vector<std::vector<std::string>> acknowledged(2);
    std::atomic<size_t> written{0};
    std::vector<std::thread> writers;
    for (size_t w = 0; w < acknowledged.size(); ++w) {
      writers.emplace_back([&, w] {
        for (int i = 0; !stop.load(); ++i) {
          const std::string key = "w" + std::to_string(w) + "-" + std::to_string(i);
          for (const std::string& name : names) {
            const std::lock_guard<std::mutex> lock(running.at(name));
            if (fresh[name].running() && fresh[name].Put(key).ok()) {
              acknowledged[w].push_back(key);
              ++written;
              break;
            }
          }
        }
      });
    }
    // However slow the machine is, there is something to lose.
    EXPECT_TRUE(Soon([&] { return written.load() >= 20; })) << seed;
    for (int round = 0; round < 25; ++round) {
      const std::string victim = names[draw(3)];
      const std::string other = draw(2) == 0 ? "coordinator" : names[draw(3)];
      switch (draw(5)) {
        case 0: {
          const std::lock_guard<std::mutex> lock(running.at(victim));
          fresh[victim].Stop(/*power_failure=*/true);
          // It may not have founded the cluster yet.
          ASSERT_TRUE(fresh[victim].StartElecting(victim == "a").ok());
          break;
        }
        case 1:
          fresh.CutBoth(victim, other);
          break;
        case 2:
          fresh.Cut(victim, other);
          break;
        case 3:
          fresh.SetCoordinatorScript([&] {
            const uint64_t fate = draw(10);
            return fate < 4 ? static_cast<CallFate>(fate) : CallFate::kAnswered;
          });
          break;
        default:
          fresh.HealAll();
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(20 + draw(150)));
    }
    fresh.HealAll();
    EXPECT_TRUE(Soon([&] {
      return std::any_of(names.begin(), names.end(),
                         [&](const std::string& name) { return fresh[name].Put("end").ok(); });
    })) << seed
        << fresh["a"].Status().ShortDebugString() << "\n"
        << fresh["b"].Status().ShortDebugString() << "\n"
        << fresh["c"].Status().ShortDebugString();
    stop = true;
    for (std::thread& writer : writers) writer.join();
    ASSERT_TRUE(Soon([&] {
      return fresh["a"].Content() == fresh["b"].Content() &&
             fresh["a"].Content() == fresh["c"].Content();
    })) << seed
        << fresh["a"].Status().ShortDebugString() << "\n"
        << fresh["b"].Status().ShortDebugString() << "\n"
        << fresh["c"].Status().ShortDebugString();
    const std::vector<std::string> keys = fresh["b"].Keys();
    const std::set<std::string> there(keys.begin(), keys.end());
    for (const auto& keys_of_one : acknowledged) {
      for (const std::string& key : keys_of_one) {
        EXPECT_TRUE(there.count(key) > 0) << seed << " " << key;
      }
    }
  }
}

// Without waiting for replicas no more is lost than was said.
TEST_F(FailoverThreadsTest, WhatIsLostIsBounded) {
  constexpr uint64_t kBound = 20;
  for (const char* name : {"a", "b", "c"}) {
    cluster_.Add(name).options().election.max_lag = kBound;
    ASSERT_TRUE(cluster_[name].StartElecting(name == std::string("a")).ok());
  }
  ASSERT_TRUE(Soon([&] { return cluster_["a"].Put("first").ok(); }));
  ASSERT_TRUE(Soon([&] { return InSync({"a", "b", "c"}); }));
  // Both fall behind while they are said to be in sync: nobody can be told otherwise.
  cluster_.Cut("a", "b");
  cluster_.Cut("a", "c");
  cluster_.SetCoordinatorScript([] { return CallFate::kRequestLost; });
  uint64_t acknowledged = 0;
  while (cluster_["a"].Put("k" + std::to_string(acknowledged)).ok()) ++acknowledged;
  EXPECT_LE(acknowledged, kBound);
  cluster_["a"].Stop(/*power_failure=*/true);
  cluster_.HealAll();
  ASSERT_TRUE(PutSoon("after"));
  uint64_t lost = 0;
  for (uint64_t i = 0; i < acknowledged; ++i)
    lost += Has(Leader(), "k" + std::to_string(i)) ? 0 : 1;
  EXPECT_LE(lost, kBound);
  ASSERT_TRUE(cluster_["a"].StartElecting().ok());
  EXPECT_TRUE(Soon([&] { return Equal(); }));
}

}  // namespace
}  // namespace cookix::server
