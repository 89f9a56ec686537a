// Servers of neighbouring versions, as far as that can be told with one program: a peer that says
// more than this one knows, one that says less, and one that this one must not work with. With
// two programs: tools/neighbours.sh.
#include <set>
#include <string>
#include <vector>

#include "cookix/internal/v1/replication.pb.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"
#include "google/protobuf/unknown_field_set.h"
#include "gtest/gtest.h"
#include "server/replication/replication.h"
#include "server/replication/scripted_cluster.h"
#include "storage/base/status.h"
#include "storage/store.h"

namespace cookix::server {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;
using internal::v1::ServerState;

// Calls `change` with the message and all that are in it.
void ForEach(Message* message, const std::function<void(Message*)>& change) {
  const Reflection& reflection = *message->GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection.ListFields(*message, &fields);
  for (const FieldDescriptor* field : fields) {
    if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) continue;
    if (!field->is_repeated()) {
      ForEach(reflection.MutableMessage(message, field), change);
      continue;
    }
    for (int i = 0; i < reflection.FieldSize(*message, field); ++i) {
      ForEach(reflection.MutableRepeatedMessage(message, field, i), change);
    }
  }
  change(message);
}

// What a later version may add: fields of each kind.
void AddUnknown(Message* message) {
  auto* const unknown = message->GetReflection()->MutableUnknownFields(message);
  unknown->AddVarint(1000, 7);
  unknown->AddFixed32(1001, 7);
  unknown->AddFixed64(1002, 7);
  unknown->AddLengthDelimited(1003, "later");
}

// What works without: names, addresses, clocks, and what was added for elections. Everything
// else is what a commit or a copy is checked by.
void LeaveOut(Message* message) {
  static const std::set<std::string> kNotNeeded = {
      "version", "address", "primary_address", "path",  "member",
      "name",    "time_ms", "heartbeat_ms",    "views", "keep_ms"};
  const Descriptor& descriptor = *message->GetDescriptor();
  // The time of an epoch is a part of the history.
  if (descriptor.name() == "Epoch") return;
  for (int i = 0; i < descriptor.field_count(); ++i) {
    const FieldDescriptor* field = descriptor.field(i);
    if (kNotNeeded.count(field->name()) > 0) message->GetReflection()->ClearField(message, field);
  }
}

std::string Reason(const absl::Status& status) {
  return GetErrorDetail(status).value_or(ErrorDetail{}).reason;
}

class NeighboursTest : public testing::Test {
 protected:
  bool Same() {
    return cluster_["a"].commit() == cluster_["b"].commit() && cluster_["a"].commit() > 0 &&
           cluster_["a"].Content() == cluster_["b"].Content();
  }

  // What servers of one store do with each other: a copy, commits, a planned change of the
  // primary, one by force, and the way back with and without a new copy.
  void LiveTogether() {
    ASSERT_TRUE(cluster_.Add("a").Start("").ok());
    ASSERT_TRUE(cluster_["a"].Put("before").ok());
    ASSERT_TRUE(cluster_.Add("b").Start("a").ok());
    ASSERT_TRUE(Soon([&] { return Same(); })) << cluster_["b"].Status().ShortDebugString();
    ASSERT_TRUE(cluster_["a"].Put("followed").ok());
    ASSERT_TRUE(Soon([&] { return Same(); }));
    v1::PromoteResponse promoted;
    ASSERT_TRUE(Soon([&] { return cluster_["b"].replication().Promote({}, &promoted).ok(); }));
    EXPECT_TRUE(promoted.former_primary_told());
    ASSERT_TRUE(cluster_["b"].Put("of b").ok());
    ASSERT_TRUE(Soon([&] { return Same(); })) << cluster_["a"].Status().ShortDebugString();
    EXPECT_EQ(cluster_["a"].Status().seeds(), 0);
    // "b" makes a commit that nobody gets, and comes back when "a" leads.
    cluster_.CutBoth("a", "b");
    ASSERT_TRUE(cluster_["b"].Put("given up").ok());
    v1::PromoteRequest force;
    force.set_force(true);
    ASSERT_TRUE(cluster_["a"].replication().Promote(force, &promoted).ok());
    ASSERT_TRUE(cluster_["a"].Put("of a").ok());
    cluster_.HealAll();
    ASSERT_TRUE(Soon([&] { return Same(); })) << cluster_["b"].Status().ShortDebugString();
    EXPECT_EQ(cluster_["b"].Keys(),
              (std::vector<std::string>{"before", "followed", "of a", "of b"}));
    EXPECT_EQ(Reason(cluster_["b"].Put("no")), "NOT_PRIMARY");
  }

  // What "a" sends is of a format that is `later` than this program's.
  void SetFormatOfA(int later) {
    cluster_.SetTranslator([later](const std::string& from, Message* message) {
      if (from != "a") return;
      ForEach(message, [later](Message* part) {
        if (part->GetDescriptor() != ServerState::descriptor()) return;
        static_cast<ServerState*>(part)->set_format_version(
            static_cast<uint32_t>(static_cast<int>(storage::kFormatVersion) + later));
      });
    });
  }

  ScriptedCluster cluster_;
};

TEST_F(NeighboursTest, OneThatSaysMoreIsUnderstood) {
  cluster_.SetTranslator([](const std::string& from, Message* message) {
    if (from == "a") ForEach(message, AddUnknown);
  });
  LiveTogether();
}

TEST_F(NeighboursTest, BothMaySayMore) {
  cluster_.SetTranslator(
      [](const std::string&, Message* message) { ForEach(message, AddUnknown); });
  LiveTogether();
}

TEST_F(NeighboursTest, OneThatSaysLessIsUnderstood) {
  cluster_.SetTranslator([](const std::string& from, Message* message) {
    // Only an address tells where to go back to after a change of the primary.
    if (from == "b" && message->GetDescriptor()->name() != "IntroduceRequest") {
      ForEach(message, LeaveOut);
    }
  });
  LiveTogether();
}

// A word of a later version, in the middle of a stream.
TEST_F(NeighboursTest, AMessageOfAnotherKindIsPassedOver) {
  ASSERT_TRUE(cluster_.Add("a").Start("").ok());
  ASSERT_TRUE(cluster_["a"].Put("before").ok());
  ASSERT_TRUE(cluster_.Add("b").Start("a").ok());
  ASSERT_TRUE(Soon([&] { return Same(); }));
  cluster_.SetTranslator([](const std::string& from, Message* message) {
    auto* const request = dynamic_cast<internal::v1::FollowRequest*>(message);
    if (from != "b" || request == nullptr || !request->has_received()) return;
    request->clear_message();
    AddUnknown(request);
  });
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(cluster_["a"].Put("k" + std::to_string(i)).ok());
  EXPECT_TRUE(Soon([&] { return Same(); }));
  EXPECT_EQ(cluster_["b"].Status().seeds(), 1);
}

// Nothing between servers depends on the value of an enumeration: whoever adds one says here what
// a value means that is not known.
TEST_F(NeighboursTest, TheProtocolHasNoEnumerations) {
  const auto& file = *ServerState::descriptor()->file();
  EXPECT_EQ(file.enum_type_count(), 0);
  for (int m = 0; m < file.message_type_count(); ++m) {
    for (int f = 0; f < file.message_type(m)->field_count(); ++f) {
      const FieldDescriptor& field = *file.message_type(m)->field(f);
      EXPECT_EQ(field.enum_type(), nullptr) << field.full_name();
    }
  }
}

TEST_F(NeighboursTest, AReplicaDoesNotFollowANewerFormat) {
  SetFormatOfA(1);
  ASSERT_TRUE(cluster_.Add("a").Start("").ok());
  ASSERT_TRUE(cluster_["a"].Put("before").ok());
  ASSERT_TRUE(cluster_.Add("b").Start("a").ok());
  const auto refuses = [&] {
    return cluster_["b"].Status().state() == v1::REPLICA_STATE_FAILED &&
           cluster_["b"].Status().last_error().find("this program knows") != std::string::npos;
  };
  EXPECT_TRUE(Soon(refuses)) << cluster_["b"].Status().ShortDebugString();
  EXPECT_EQ(cluster_["b"].commit(), 0u);
  // Updated: it goes on by itself.
  cluster_.SetTranslator(nullptr);
  ASSERT_TRUE(Soon([&] { return Same(); }));
  // While it follows.
  SetFormatOfA(1);
  ASSERT_TRUE(cluster_["a"].Put("after").ok());
  cluster_.CutBoth("a", "b");
  EXPECT_TRUE(Soon([&] { return cluster_["b"].Status().state() == v1::REPLICA_STATE_CONNECTING; }));
  cluster_.HealAll();
  EXPECT_TRUE(Soon(refuses)) << cluster_["b"].Status().ShortDebugString();
  EXPECT_EQ(cluster_["b"].Status().seeds(), 1);
}

// Neither does the other side give it anything, should the replica not look.
TEST_F(NeighboursTest, AnOlderFormatGetsNothing) {
  ASSERT_TRUE(cluster_.Add("a").Start("").ok());
  ASSERT_TRUE(cluster_["a"].Put("before").ok());
  ReplicationSource& source = cluster_["a"].replication().source();
  internal::v1::FollowRequest::Hello hello;
  *hello.mutable_state() = cluster_["a"].replication().Describe();
  hello.mutable_state()->set_instance("older");
  hello.mutable_state()->clear_path();
  hello.mutable_state()->set_format_version(storage::kFormatVersion - 1);
  const auto feed = source.Follow(hello);
  EXPECT_EQ(Reason(feed.status()), "FORMAT_MISMATCH") << feed.status();
  internal::v1::BeginCopyRequest request;
  *request.mutable_state() = hello.state();
  internal::v1::BeginCopyResponse response;
  EXPECT_EQ(Reason(source.BeginCopy(request, &response)), "FORMAT_MISMATCH");
  // A newer one may: replicas are updated first.
  hello.mutable_state()->set_format_version(storage::kFormatVersion + 1);
  EXPECT_TRUE(source.Follow(hello).ok());
}

// A primary that was updated last does not follow the replica that took over either, and nor does
// it take writes: it waits until it is updated.
TEST_F(NeighboursTest, AFormerPrimaryOfAnOlderFormatWaits) {
  ASSERT_TRUE(cluster_.Add("b").Start("").ok());
  ASSERT_TRUE(cluster_["b"].Put("before").ok());
  SetFormatOfA(1);
  ASSERT_TRUE(cluster_.Add("a").Start("b").ok());
  ASSERT_TRUE(Soon([&] { return Same(); })) << cluster_["a"].Status().ShortDebugString();
  v1::PromoteResponse promoted;
  ASSERT_TRUE(Soon([&] { return cluster_["a"].replication().Promote({}, &promoted).ok(); }));
  ASSERT_TRUE(cluster_["a"].Put("after").ok());
  EXPECT_TRUE(Soon([&] { return cluster_["b"].Status().state() == v1::REPLICA_STATE_FAILED; }));
  EXPECT_NE(cluster_["b"].Status().last_error().find("this program knows"), std::string::npos);
  EXPECT_EQ(Reason(cluster_["b"].Put("no")), "NOT_PRIMARY");
  cluster_.SetTranslator(nullptr);
  EXPECT_TRUE(Soon([&] { return Same(); }));
}

}  // namespace
}  // namespace cookix::server
