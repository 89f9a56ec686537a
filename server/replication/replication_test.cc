// What servers make of each other over a network that does its worst. No gRPC, so that the
// thread sanitizer sees everything.
#include "server/replication/replication.h"

#include <algorithm>
#include <atomic>
#include <random>
#include <string>
#include <thread>

#include "gtest/gtest.h"
#include "server/replication/history.h"
#include "server/replication/scripted_cluster.h"
#include "storage/base/status.h"
#include "storage/note_file.h"

namespace cookix::server {
namespace {

using internal::v1::ServerState;

std::string Reason(const absl::Status& status) {
  const auto detail = GetErrorDetail(status);
  return detail.has_value() ? detail->reason : "";
}

class ReplicationThreadsTest : public testing::Test {
 protected:
  // "a" is the primary, "b" and "c" follow it.
  void StartThree() {
    ASSERT_TRUE(cluster_.Add("a").Start("").ok());
    ASSERT_TRUE(cluster_["a"].Put("first").ok());
    for (const char* name : {"b", "c"}) {
      ASSERT_TRUE(cluster_.Add(name).Start("a").ok());
    }
    ASSERT_TRUE(Soon([&] { return Same("a", "b") && Same("a", "c"); }));
  }

  bool Same(const std::string& a, const std::string& b) {
    return cluster_[a].commit() == cluster_[b].commit() && cluster_[a].commit() > 0 &&
           cluster_[a].Content() == cluster_[b].Content();
  }

  ScriptedCluster cluster_;
};

TEST_F(ReplicationThreadsTest, RepeatsEveryCommit) {
  StartThree();
  for (int i = 0; i < 200; ++i) ASSERT_TRUE(cluster_["a"].Put("k" + std::to_string(i)).ok());
  EXPECT_TRUE(Soon([&] { return Same("a", "b") && Same("a", "c"); }));
  EXPECT_EQ(Reason(cluster_["b"].Put("no")), "NOT_PRIMARY");
  EXPECT_EQ(cluster_["b"].Status().seeds(), 1);
}

TEST_F(ReplicationThreadsTest, AnEpochMayBeginBetweenIntroductionAndCopy) {
  ASSERT_TRUE(cluster_.Add("a").Start("").ok());
  ASSERT_TRUE(cluster_["a"].Put("first").ok());
  std::atomic<bool> begun{false};
  cluster_.SetTranslator([&](const std::string&, google::protobuf::Message* message) {
    if (dynamic_cast<internal::v1::BeginCopyRequest*>(message) == nullptr) return;
    if (begun.exchange(true)) return;
    EXPECT_TRUE(cluster_["a"].database()->store().BeginEpoch(2).ok());
    EXPECT_TRUE(cluster_["a"].Put("second").ok());
  });
  ASSERT_TRUE(cluster_.Add("b").Start("a").ok());
  ASSERT_TRUE(Soon([&] { return Same("a", "b"); }));
  ASSERT_TRUE(cluster_["a"].Put("third").ok());
  EXPECT_TRUE(Soon([&] { return Same("a", "b"); }));
  EXPECT_EQ(cluster_["b"].Status().seeds(), 1);
}

// Messages are lost, repeated, swapped, damaged and cut off at random: nothing of it is ever
// visible, and in the end the replica is equal.
TEST_F(ReplicationThreadsTest, SurvivesEveryFateOfMessages) {
  StartThree();
  for (uint64_t seed = 0; seed < 12; ++seed) {
    const auto random = std::make_shared<std::mt19937_64>(seed);
    // One kind at a time, then all.
    const Fate only = static_cast<Fate>(1 + seed % 5);
    cluster_.SetScript([random, only, seed]() -> Fate {
      if ((*random)() % 4 != 0) return Fate::kArrives;
      return seed < 5 ? only : static_cast<Fate>((*random)() % 6);
    });
    for (int i = 0; i < 60; ++i) {
      ASSERT_TRUE(
          cluster_["a"].Put("s" + std::to_string(seed) + "-" + std::to_string(i % 20)).ok());
      if (i % 10 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    cluster_.HealAll();
    ASSERT_TRUE(Soon([&] { return Same("a", "b") && Same("a", "c"); }))
        << seed << " " << cluster_["b"].Status().ShortDebugString() << "\n"
        << cluster_["c"].Status().ShortDebugString();
  }
}

TEST_F(ReplicationThreadsTest, ACopyIsReceivedOverABadNetwork) {
  ASSERT_TRUE(cluster_.Add("a").Start("").ok());
  for (int i = 0; i < 300; ++i) ASSERT_TRUE(cluster_["a"].Put("k" + std::to_string(i)).ok());
  for (uint64_t seed = 1; seed <= 4; ++seed) {
    const auto random = std::make_shared<std::mt19937_64>(seed);
    cluster_.SetScript([random]() -> Fate {
      return (*random)() % 3 == 0 ? static_cast<Fate>((*random)() % 6) : Fate::kArrives;
    });
    const std::string name = "r" + std::to_string(seed);
    ASSERT_TRUE(cluster_.Add(name).Start("a").ok());
    EXPECT_TRUE(Soon([&] { return cluster_[name].commit() > 0; })) << seed;
    cluster_.HealAll();
    EXPECT_TRUE(Soon([&] { return Same("a", name); })) << seed;
  }
}

TEST_F(ReplicationThreadsTest, ServesThroughACutAndCatchesUp) {
  StartThree();
  for (const bool both : {false, true}) {
    both ? cluster_.CutBoth("a", "b") : cluster_.Cut("a", "b");
    std::string position;
    for (int i = 0; i < 30; ++i) {
      ASSERT_TRUE(cluster_["a"].Put("cut" + std::to_string(both) + std::to_string(i)).ok());
    }
    EXPECT_TRUE(Soon([&] { return Same("a", "c"); }));
    EXPECT_TRUE(
        Soon([&] { return cluster_["b"].Status().state() == v1::REPLICA_STATE_CONNECTING; }));
    EXPECT_FALSE(cluster_["b"].Keys().empty());
    cluster_.HealAll();
    EXPECT_TRUE(Soon([&] { return Same("a", "b"); }));
  }
  EXPECT_EQ(cluster_["b"].Status().seeds(), 1);
}

TEST_F(ReplicationThreadsTest, APlannedChangeLosesNothing) {
  StartThree();
  std::vector<std::string> acknowledged = {"first"};
  std::string primary = "a";
  for (int round = 0; round < 12; ++round) {
    const std::string next = primary == "a" ? "b" : "a";
    std::atomic<bool> stop{false};
    std::thread writer([&] {
      for (int i = 0; !stop; ++i) {
        const std::string key = "r" + std::to_string(round) + "-" + std::to_string(i);
        if (cluster_[primary].Put(key).ok()) acknowledged.push_back(key);
      }
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(3));
    v1::PromoteResponse promoted;
    // It may have to follow first.
    EXPECT_TRUE(Soon([&] {
      return cluster_[next].replication().Promote(v1::PromoteRequest(), &promoted).ok();
    })) << round;
    stop = true;
    writer.join();
    primary = next;
    ASSERT_TRUE(cluster_[primary].Put("after" + std::to_string(round)).ok());
    acknowledged.push_back("after" + std::to_string(round));
  }
  EXPECT_TRUE(Soon([&] { return Same("a", "b") && Same("b", "c"); }));
  const std::vector<std::string> keys = cluster_[primary].Keys();
  std::sort(acknowledged.begin(), acknowledged.end());
  for (const std::string& key : acknowledged) {
    EXPECT_TRUE(std::binary_search(keys.begin(), keys.end(), key)) << key;
  }
  // Nobody had to begin again.
  for (const char* name : {"a", "b"}) EXPECT_LE(cluster_[name].Status().seeds(), 1) << name;
}

TEST_F(ReplicationThreadsTest, AForcedChangeFencesTheFormerPrimary) {
  StartThree();
  cluster_.CutBoth("a", "b");
  cluster_.CutBoth("a", "c");
  ASSERT_TRUE(cluster_["a"].Put("only-a").ok());
  v1::PromoteRequest request;
  v1::PromoteResponse promoted;
  EXPECT_EQ(Reason(cluster_["b"].replication().Promote(request, &promoted)), "REPLICA_BEHIND");
  request.set_force(true);
  ASSERT_TRUE(cluster_["b"].replication().Promote(request, &promoted).ok());
  EXPECT_FALSE(promoted.former_primary_told());
  ASSERT_TRUE(cluster_["b"].Put("only-b").ok());
  // The other one is told whom to follow now, and never goes back.
  v1::FollowRequest follow;
  follow.set_address("b");
  ASSERT_TRUE(cluster_["c"].replication().Follow(follow).ok());
  ASSERT_TRUE(Soon([&] { return Same("b", "c"); }));
  cluster_.HealAll();
  follow.set_address("a");
  EXPECT_TRUE(Soon([&] { return Reason(cluster_["a"].Put("refused")) == "NOT_PRIMARY"; }));
  EXPECT_TRUE(Soon([&] { return Same("a", "b"); }));
  EXPECT_EQ(cluster_["a"].Keys(), (std::vector<std::string>{"first", "only-b"}));
}

TEST_F(ReplicationThreadsTest, NobodyFollowsAnEarlierEpoch) {
  StartThree();
  cluster_.CutBoth("a", "b");
  cluster_.CutBoth("b", "c");
  v1::PromoteRequest request;
  request.set_force(true);
  v1::PromoteResponse promoted;
  ASSERT_TRUE(cluster_["b"].replication().Promote(request, &promoted).ok());
  // "b" cannot tell "a". A replica of the new epoch that is pointed at "a" refuses it.
  ASSERT_TRUE(cluster_.Add("d").Start("b").ok());
  ASSERT_TRUE(Soon([&] { return Same("b", "d"); }));
  const std::string before = cluster_["d"].Content();
  v1::FollowRequest follow;
  follow.set_address("a");
  // What it says of itself is how "a" hears of the epoch.
  ASSERT_TRUE(cluster_["d"].replication().Follow(follow).ok());
  EXPECT_TRUE(Soon([&] { return Reason(cluster_["a"].Put("refused")) == "NOT_PRIMARY"; }));
  EXPECT_TRUE(
      Soon([&] { return cluster_["d"].Status().last_error().find("epoch") != std::string::npos; }));
  EXPECT_EQ(cluster_["d"].Content(), before);
}

// Two that were both promoted by force into the same epoch.
TEST_F(ReplicationThreadsTest, TwoPrimariesOfOneEpochNeverMix) {
  StartThree();
  for (const auto& [a, b] : {std::pair("a", "b"), std::pair("a", "c"), std::pair("b", "c")}) {
    cluster_.CutBoth(a, b);
  }
  v1::PromoteRequest request;
  request.set_force(true);
  v1::PromoteResponse promoted;
  for (const char* name : {"b", "c"}) {
    ASSERT_TRUE(cluster_[name].replication().Promote(request, &promoted).ok());
    ASSERT_TRUE(cluster_[name].Put(std::string("only-") + name).ok());
  }
  cluster_.HealAll();
  v1::FollowRequest follow;
  follow.set_address("b");
  ASSERT_TRUE(cluster_["c"].replication().Follow(follow).ok());
  // It gives its own commits up, whole.
  EXPECT_TRUE(Soon([&] { return Same("b", "c"); }));
  EXPECT_EQ(cluster_["c"].Keys(), (std::vector<std::string>{"first", "only-b"}));
}

TEST_F(ReplicationThreadsTest, APowerFailureOfAReplicaOrThePrimaryLosesNothingThatWasAcknowledged) {
  StartThree();
  std::vector<std::string> keys = {"first"};
  for (int round = 0; round < 10; ++round) {
    for (int i = 0; i < 10; ++i) {
      keys.push_back("r" + std::to_string(round) + std::to_string(i));
      ASSERT_TRUE(cluster_["a"].Put(keys.back()).ok());
    }
    ScriptedNode& node = cluster_[round % 2 == 0 ? "b" : "a"];
    node.Stop(/*power_failure=*/true);
    ASSERT_TRUE(node.Start(round % 2 == 0 ? "a" : "").ok());
  }
  EXPECT_TRUE(Soon([&] { return Same("a", "b") && Same("a", "c"); }));
  std::sort(keys.begin(), keys.end());
  EXPECT_EQ(cluster_["a"].Keys(), keys);
}

// Not for the thread sanitizer, which does not see how absl::Status counts its owners.
class ReplicationDiskTest : public ReplicationThreadsTest {};

TEST_F(ReplicationDiskTest, AReplicaWithAFullDiskSaysSoAndGoesOn) {
  StartThree();
  using Fs = storage::FaultInjectionFileSystem;
  cluster_["b"].files().FailAt(Fs::kAnyWrite, 0, Fs::Fault::kNoSpace, /*sticky=*/true);
  for (int i = 0; i < 30; ++i) ASSERT_TRUE(cluster_["a"].Put("k" + std::to_string(i)).ok());
  EXPECT_TRUE(Soon([&] { return Same("a", "c"); }));
  EXPECT_TRUE(Soon([&] { return !cluster_["b"].Status().last_error().empty(); }));
  cluster_["b"].files().Heal();
  EXPECT_TRUE(Soon([&] { return Same("a", "b"); }));
}

TEST_F(ReplicationDiskTest, APromotionThatTheDiskCutShortCanBeRepeated) {
  using Fs = storage::FaultInjectionFileSystem;
  ASSERT_TRUE(cluster_.Add("a").Start("").ok());
  ASSERT_TRUE(cluster_["a"].Put("first").ok());
  v1::PromoteRequest request;
  request.set_force(true);
  v1::PromoteResponse response;
  bool failed = true;
  for (int nth = 0; failed; ++nth) {
    const std::string name = "b" + std::to_string(nth);
    ScriptedNode& node = cluster_.Add(name);
    ASSERT_TRUE(node.Start("a").ok());
    ASSERT_TRUE(Soon([&] { return Same("a", name); }));
    cluster_.CutBoth("a", name);
    node.files().FailAt(Fs::kAnyWrite, nth, Fs::Fault::kNoSpace, /*sticky=*/true);
    failed = !node.replication().Promote(request, &response).ok();
    node.files().Heal();
    node.SetClockAhead(std::chrono::seconds(10));
    if (failed) {
      // Started anew it would be what it was before, too.
      EXPECT_TRUE(Soon([&] {
        const ReplicaOptions& options = node.options().replica;
        const auto note =
            storage::ReadNote(options.file_system, options.data_dir, storage::kReplicationNote);
        return note.ok() && note->find("\"replica\"") != std::string::npos;
      })) << nth;
      EXPECT_EQ(node.Status().role(), v1::REPLICATION_ROLE_REPLICA) << nth;
    }
    const absl::Status repeated = node.replication().Promote(request, &response);
    EXPECT_TRUE(repeated.ok()) << nth << " " << repeated;
    const absl::Status put = node.Put("mine");
    EXPECT_TRUE(put.ok()) << nth << " " << put;
    node.Stop();
  }
}

// Whether so many followers have the commit and keep it.
auto Have(int count, uint64_t commit) {
  return [count, commit](const std::vector<Follower>& followers) {
    return std::count_if(followers.begin(), followers.end(), [commit](const Follower& follower) {
             return follower.connected && follower.received >= commit;
           }) >= count;
  };
}

TEST_F(ReplicationThreadsTest, WritesWaitForReplicas) {
  StartThree();
  ReplicationSource& source = cluster_["a"].replication().source();
  const auto in = [](int ms) {
    return std::chrono::steady_clock::now() + std::chrono::milliseconds(ms);
  };
  const engine::CallContext context;
  ASSERT_TRUE(cluster_["a"].Put("both").ok());
  EXPECT_TRUE(source.WaitReplicated(context, Have(2, cluster_["a"].commit()), in(30'000)));
  EXPECT_FALSE(source.WaitReplicated(context, Have(3, cluster_["a"].commit()), in(20)));
  cluster_.CutBoth("a", "b");
  ASSERT_TRUE(cluster_["a"].Put("one").ok());
  EXPECT_TRUE(source.WaitReplicated(context, Have(1, cluster_["a"].commit()), in(30'000)));
  EXPECT_FALSE(source.WaitReplicated(context, Have(2, cluster_["a"].commit()), in(20)));
}

// A store, a primary, a replica and copies, all at once.
TEST_F(ReplicationThreadsTest, WritersReadersAndNewReplicasAtOnce) {
  StartThree();
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (int t = 0; t < 2; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; !stop; ++i) {
        EXPECT_TRUE(cluster_["a"].Put(std::to_string(t) + "-" + std::to_string(i % 100)).ok());
      }
    });
  }
  threads.emplace_back([&] {
    while (!stop) EXPECT_FALSE(cluster_["b"].Keys().empty());
  });
  threads.emplace_back([&] {
    while (!stop) EXPECT_EQ(cluster_["a"].Status().role(), v1::REPLICATION_ROLE_PRIMARY);
  });
  for (int i = 0; i < 3; ++i) {
    const std::string name = "new" + std::to_string(i);
    EXPECT_TRUE(cluster_.Add(name).Start("a").ok());
    EXPECT_TRUE(Soon([&] { return cluster_[name].commit() > 0; }));
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  for (const char* name : {"b", "c", "new0", "new1", "new2"}) {
    EXPECT_TRUE(Soon([&] { return Same("a", name); })) << name;
  }
}

TEST_F(ReplicationThreadsTest, RecordsThatStayDamagedLeadToACopy) {
  StartThree();
  cluster_.SetScript([] { return Fate::kDamaged; });
  ASSERT_TRUE(cluster_["a"].Put("x").ok());
  EXPECT_TRUE(Soon([&] { return cluster_["b"].Status().state() == v1::REPLICA_STATE_SEEDING; }));
  cluster_.HealAll();
  EXPECT_TRUE(Soon([&] { return Same("a", "b"); }));
}

TEST_F(ReplicationThreadsTest, WhoIsStartedAnewLeavesNoCopiesBehind) {
  ASSERT_TRUE(cluster_.Add("a").Start("").ok());
  ASSERT_TRUE(cluster_["a"].Put("first").ok());
  ReplicationSource& source = cluster_["a"].replication().source();
  const int most = cluster_["a"].options().source.max_copies;
  // Each time it begins to read, and ends before it has everything.
  for (int i = 0; i <= most; ++i) {
    internal::v1::BeginCopyRequest request;
    request.set_name("restless");
    request.mutable_state()->set_instance("instance " + std::to_string(i));
    request.mutable_state()->set_format_version(storage::kFormatVersion);
    internal::v1::BeginCopyResponse begun;
    ASSERT_TRUE(source.BeginCopy(request, &begun).ok()) << i;
    internal::v1::ReadCopyRequest read;
    read.set_copy(begun.copy());
    EXPECT_TRUE(source.ReadCopy(read, [](const auto&) { return false; }).ok());
  }
  // Those of others stay.
  for (int i = 0; i < most; ++i) {
    internal::v1::BeginCopyRequest request;
    request.set_name("other " + std::to_string(i));
    request.mutable_state()->set_instance(request.name());
    request.mutable_state()->set_format_version(storage::kFormatVersion);
    internal::v1::BeginCopyResponse begun;
    EXPECT_EQ(Reason(source.BeginCopy(request, &begun)), i + 1 < most ? "" : "OVERLOADED") << i;
  }
}

TEST_F(ReplicationThreadsTest, AGreetingIsNoAcknowledgement) {
  StartThree();
  ReplicationSource& source = cluster_["a"].replication().source();
  internal::v1::FollowRequest::Hello hello;
  *hello.mutable_state() = cluster_["b"].replication().Describe();
  hello.mutable_state()->set_instance("another");
  hello.mutable_state()->clear_path();
  hello.mutable_state()->set_commit(1000);
  hello.set_name("another");
  hello.set_durable(true);
  const auto feed = source.Follow(hello);
  ASSERT_TRUE(feed.ok()) << feed.status();
  // Nor is a word about what was never sent.
  (*feed)->OnReceived(1000);
  const engine::CallContext context;
  EXPECT_FALSE(source.WaitReplicated(
      context, Have(1, 999), std::chrono::steady_clock::now() + std::chrono::milliseconds(20)));
}

TEST_F(ReplicationThreadsTest, TwoPlannedChangesMakeOnePrimary) {
  StartThree();
  std::vector<absl::Status> statuses(2);
  std::vector<std::thread> threads;
  for (int i = 0; i < 2; ++i) {
    threads.emplace_back([&, i] {
      v1::PromoteResponse promoted;
      statuses[i] = cluster_[i == 0 ? "b" : "c"].replication().Promote({}, &promoted);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_FALSE(statuses[0].ok() && statuses[1].ok());
}

TEST_F(ReplicationThreadsTest, APlannedChangeWhoseAnswerWasLostCanBeRepeated) {
  StartThree();
  internal::v1::IntroduceRequest request;
  *request.mutable_state() = cluster_["b"].replication().Describe();
  request.set_take_over(true);
  internal::v1::IntroduceResponse response;
  ASSERT_TRUE(cluster_["a"].replication().Introduce(request, &response).ok());
  ASSERT_TRUE(response.stood_down());
  EXPECT_EQ(Reason(cluster_["a"].Put("x")), "NOT_PRIMARY");
  v1::PromoteResponse promoted;
  // Another one does not get it.
  EXPECT_EQ(Reason(cluster_["c"].replication().Promote({}, &promoted)), "REPLICA_BEHIND");
  // It may be connecting again just then.
  absl::Status again;
  EXPECT_TRUE(Soon([&] {
    again = cluster_["b"].replication().Promote({}, &promoted);
    return again.ok();
  })) << again;
  EXPECT_TRUE(cluster_["b"].Put("x").ok());
  EXPECT_TRUE(Soon([&] { return Same("a", "b"); }));
}

TEST_F(ReplicationThreadsTest, AReplicaIsNotTakenForThePrimary) {
  StartThree();
  for (const auto& [name, follows] : {std::pair("d", "b"), std::pair("e", "d")}) {
    ASSERT_TRUE(cluster_.Add(name).Start(follows).ok());
    ASSERT_TRUE(Soon([&, name = name] { return Same("a", name); }));
  }
  // "d" comes back and cannot know who the primary is; "e" follows it.
  cluster_.CutBoth("b", "d");
  cluster_["d"].Stop();
  ASSERT_TRUE(cluster_["d"].Start("b").ok());
  cluster_["e"].Stop();
  ASSERT_TRUE(cluster_["e"].Start("d").ok());
  ASSERT_TRUE(Soon([&] { return cluster_["e"].Status().state() == v1::REPLICA_STATE_FOLLOWING; }));
  v1::PromoteResponse promoted;
  EXPECT_EQ(Reason(cluster_["e"].replication().Promote({}, &promoted)), "REPLICA_BEHIND");
  EXPECT_TRUE(cluster_["a"].Put("x").ok());
}

TEST_F(ReplicationThreadsTest, AStrayCopyDoesNotStopThePrimary) {
  StartThree();
  // Started once as if it were the primary, "b" has begun an epoch of its own.
  cluster_["b"].Stop();
  ASSERT_TRUE(cluster_["b"].Start("").ok());
  cluster_["b"].Stop();
  ASSERT_TRUE(cluster_["b"].Start("a").ok());
  EXPECT_TRUE(
      Soon([&] { return cluster_["b"].Status().last_error().find("epoch") != std::string::npos; }));
  EXPECT_TRUE(cluster_["a"].Put("x").ok());
}

TEST_F(ReplicationThreadsTest, IsToldOfItsSuccessorBeforeItHasBegun) {
  for (int round = 0; round < 20; ++round) {
    ReplicationOptions options = cluster_.Add("n" + std::to_string(round)).options();
    DatabaseSlot databases;
    Replication replication(options, databases);
    ASSERT_TRUE(replication.Start().ok());
    internal::v1::IntroduceRequest request;
    ServerState& other = *request.mutable_state();
    other = replication.Describe();
    other.set_instance("other");
    other.set_primary(true);
    other.set_address("nobody");
    internal::v1::Epoch& epoch = *other.add_epochs();
    epoch.set_epoch(9);
    epoch.set_first_commit(100);
    internal::v1::IntroduceResponse response;
    ASSERT_TRUE(replication.Introduce(request, &response).ok());
    EXPECT_FALSE(response.state().primary());
    ASSERT_TRUE(replication.Begin("n").ok());
    replication.Stop();
    databases.Close([] {});
  }
}

TEST_F(ReplicationThreadsTest, IsPromotedWhileACopyIsBeingInstalled) {
  std::atomic<bool> armed{false};
  std::atomic<bool> promoting{false};
  std::thread promoter;
  ASSERT_TRUE(cluster_.Add("a").Start("").ok());
  ASSERT_TRUE(cluster_["a"].Put("first").ok());
  v1::PromoteRequest force;
  force.set_force(true);
  cluster_.Add("b").options().serving = [&](bool serving) {
    if (serving || !armed.exchange(false)) return;
    promoter = std::thread([&] {
      v1::PromoteResponse promoted;
      // Whether it can be depends on how far the copy is; that it comes back does not.
      cluster_["b"].replication().Promote(force, &promoted).IgnoreError();
    });
    promoting = true;
  };
  ASSERT_TRUE(cluster_["b"].Start("a").ok());
  ASSERT_TRUE(cluster_.Add("c").Start("a").ok());
  ASSERT_TRUE(Soon([&] { return Same("a", "b") && Same("a", "c"); }));
  for (const auto& [x, y] : {std::pair("a", "b"), std::pair("a", "c"), std::pair("b", "c")}) {
    cluster_.CutBoth(x, y);
  }
  v1::PromoteResponse promoted;
  for (const char* name : {"b", "c"}) {
    ASSERT_TRUE(cluster_[name].replication().Promote(force, &promoted).ok());
    ASSERT_TRUE(cluster_[name].Put(std::string("only-") + name).ok());
  }
  cluster_.HealAll();
  armed = true;
  v1::FollowRequest follow;
  follow.set_address("c");
  ASSERT_TRUE(cluster_["b"].replication().Follow(follow).ok());
  ASSERT_TRUE(Soon([&] { return promoting.load(); }));
  promoter.join();
}

ServerState State(const std::string& instance, std::vector<std::pair<uint64_t, uint64_t>> epochs,
                  uint64_t commit) {
  ServerState state;
  state.set_instance(instance);
  state.set_store_id(std::string(16, 's'));
  state.set_format_version(1);
  state.add_path(instance);
  state.set_commit(commit);
  for (const auto& [epoch, first] : epochs) {
    internal::v1::Epoch& begun = *state.add_epochs();
    begun.set_epoch(epoch);
    begun.set_first_commit(first);
  }
  return state;
}

TEST(HistoryTest, APromotionIsLaterThanCrashesOfTheOneBefore) {
  EXPECT_EQ(PromotedEpoch(0), 1000u);
  EXPECT_EQ(PromotedEpoch(1), 1000u);
  EXPECT_EQ(PromotedEpoch(999), 1000u);
  EXPECT_EQ(PromotedEpoch(1000), 2000u);
}

TEST(HistoryTest, TellsWhatContinues) {
  const ServerState source = State("s", {{1, 1}, {3, 11}}, 20);
  const auto reason = [&](const ServerState& follower) {
    return Reason(CheckContinues(follower, source));
  };
  EXPECT_EQ(reason(State("f", {{1, 1}}, 0)), "");
  EXPECT_EQ(reason(State("f", {{1, 1}}, 10)), "");
  // Commit 11 of epoch 1 is another than that of epoch 3.
  EXPECT_EQ(reason(State("f", {{1, 1}}, 11)), "HISTORY_DIVERGED");
  EXPECT_EQ(reason(State("f", {{1, 1}, {3, 11}}, 15)), "");
  EXPECT_EQ(reason(State("f", {{1, 1}, {3, 12}}, 11)), "HISTORY_DIVERGED");
  EXPECT_EQ(reason(State("f", {{1, 1}, {2, 5}}, 8)), "HISTORY_DIVERGED");
  // It led before the source did and took no writes.
  EXPECT_EQ(reason(State("f", {{1, 1}, {2, 9}}, 8)), "");
  EXPECT_EQ(reason(State("f", {{1, 1}, {3, 11}}, 21)), "POSITION_NOT_REACHED");
}

TEST(HistoryTest, RefusesWhatCannotBeFollowed) {
  const ServerState follower = State("f", {{1, 1}, {3, 11}}, 12);
  const auto reason = [&](const ServerState& source) {
    return Reason(CheckSource(follower, source));
  };
  EXPECT_EQ(reason(State("s", {{1, 1}, {3, 11}}, 20)), "");
  EXPECT_EQ(reason(State("f", {{1, 1}, {3, 11}}, 20)), "OWN_REPLICA");
  EXPECT_EQ(reason(State("s", {{1, 1}}, 20)), "EPOCH_TOO_OLD");
  ServerState source = State("s", {{1, 1}, {3, 11}}, 20);
  source.add_path("f");
  EXPECT_EQ(reason(source), "OWN_REPLICA");
  source = State("s", {{1, 1}, {3, 11}}, 20);
  source.set_format_version(2);
  EXPECT_EQ(reason(source), "FORMAT_MISMATCH");
  source.set_format_version(1);
  source.set_store_id(std::string(16, 't'));
  EXPECT_EQ(reason(source), "STORE_MISMATCH");
  source.set_store_id("short");
  EXPECT_EQ(reason(source), "STORE_MISMATCH");
  source.clear_store_id();
  EXPECT_EQ(reason(source), "SEEDING");
}

}  // namespace
}  // namespace cookix::server
