// A primary and a replica of two programs: those that COOKIX_PRIMARY and COOKIX_REPLICA name, or
// the one that was built. tools/neighbours.sh runs it with programs of two revisions.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/election/etcd_process.h"
#include "tests/support/requests.h"
#include "tests/support/status_matchers.h"
#include "tests/support/test_server.h"

namespace cookix::tests {
namespace {

std::string Program(const char* variable) {
  const char* const path = std::getenv(variable);
  return path == nullptr ? "" : path;
}

bool Eventually(const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  return true;
}

// A server that comes back where it was.
class Machine {
 public:
  Machine(std::string program, std::vector<std::string> flags) {
    options_.program = std::move(program);
    options_.data_dir = MakeTempDir("machine") + "/data";
    options_.flags = std::move(flags);
    options_.flags.push_back("--low_disk_mb=0");
  }

  void Start() {
    auto server = TestServer::Start(options_);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    if (!std::exchange(started_, true)) options_.flags.push_back("--listen=" + target());
  }
  void Kill() { server_->Kill(); }
  std::string target() const { return server_->target(); }
  // The end of its log.
  std::string Output() const {
    const std::string output = server_->Output();
    return output.substr(output.size() - std::min<size_t>(output.size(), 4000));
  }

  absl::Status Put(const std::string& key, std::string* position = nullptr) {
    v1::PutObjectRequest request = PutRequest(key, "words of " + key);
    *request.mutable_write()->add_edges() = MakeEdge(key, "causes", "hub");
    v1::PutObjectResponse response;
    const absl::Status status = server_->Connect()->PutObject(request, &response);
    if (position != nullptr) *position = response.result().position();
    return status;
  }

  // At `position` or later.
  absl::Status Get(const std::string& key, const std::string& position) {
    v1::GetObjectRequest request = GetRequest(key);
    request.mutable_options()->set_min_position(position);
    request.mutable_options()->set_wait_ms(10'000);
    v1::GetObjectResponse response;
    return server_->Connect()->GetObject(request, &response);
  }

  std::vector<std::string> Keys() {
    v1::ScanObjectsRequest request;
    request.set_page_size(1000);
    v1::ScanObjectsResponse response;
    EXPECT_OK(server_->Connect()->ScanObjects(request, &response));
    std::vector<std::string> keys;
    for (const v1::Object& object : response.objects()) {
      keys.push_back(
          absl::StrCat(object.ref().key(), " ", object.content(), " ", object.version()));
    }
    return keys;
  }

  int Causes() {
    v1::ListNeighborsRequest request;
    *request.mutable_ref() = Ref("hub");
    request.set_direction(v1::DIRECTION_IN);
    request.set_page_size(1000);
    v1::ListNeighborsResponse response;
    EXPECT_OK(server_->Connect()->ListNeighbors(request, &response));
    return response.neighbors_size();
  }

  // Keys of the objects that were put after `position`, up to `last`; null where the program
  // cannot tell yet.
  std::optional<std::vector<std::string>> Watch(const std::string& position,
                                                const std::string& last) {
    v1::WatchRequest request;
    request.set_after_position(position);
    request.mutable_objects();
    std::vector<std::string> keys;
    const absl::Status ended =
        server_->Connect()->Watch(request, [&](const v1::WatchResponse& message) {
          for (const v1::CommitChanges& commit : message.commits()) {
            for (const v1::Change& change : commit.changes()) {
              keys.push_back(change.object().after().ref().key());
            }
          }
          return keys.empty() || keys.back() != last;
        });
    if (!options_.program.empty() && ended.code() == absl::StatusCode::kUnimplemented) return {};
    EXPECT_OK(ended);
    return keys;
  }

  v1::GetReplicationStatusResponse Status() {
    v1::GetReplicationStatusResponse response;
    server_->Connect()->GetReplicationStatus({}, &response).IgnoreError();
    return response;
  }
  bool Leads() { return Status().role() == v1::REPLICATION_ROLE_PRIMARY; }
  bool Follows() { return Status().state() == v1::REPLICA_STATE_FOLLOWING; }

  absl::Status Promote(bool force = false) {
    v1::PromoteRequest request;
    request.set_force(force);
    v1::PromoteResponse response;
    return server_->Connect()->Promote(request, &response);
  }

 private:
  TestServerOptions options_;
  std::unique_ptr<TestServer> server_;
  bool started_ = false;
};

void ExpectEqual(Machine& a, Machine& b) {
  ASSERT_TRUE(Eventually([&] { return a.Status().commit() == b.Status().commit(); }));
  EXPECT_EQ(a.Keys(), b.Keys());
  EXPECT_EQ(a.Causes(), b.Causes());
}

TEST(NeighboursTest, ACopyCommitsWatchesAndEveryChangeOfThePrimary) {
  Machine first(Program("COOKIX_PRIMARY"), {"--sync_mode=normal"});
  ASSERT_NO_FATAL_FAILURE(first.Start());
  for (int i = 0; i < 20; ++i) ASSERT_OK(first.Put(absl::StrCat("before", i)));
  Machine second(Program("COOKIX_REPLICA"),
                 {"--sync_mode=normal", "--replica_of=" + first.target()});
  ASSERT_NO_FATAL_FAILURE(second.Start());
  ASSERT_TRUE(Eventually([&] { return second.Follows(); })) << second.Output();
  std::string copied;
  std::string position;
  ASSERT_OK(first.Put("copied", &copied));
  for (int i = 0; i < 3; ++i) ASSERT_OK(first.Put(absl::StrCat("followed", i), &position));
  EXPECT_OK(second.Get("followed2", position));
  const std::vector<std::string> told = {"followed0", "followed1", "followed2"};
  EXPECT_EQ(second.Watch(copied, "followed2").value_or(told), told);
  ExpectEqual(first, second);
  EXPECT_EQ(second.Status().seeds(), 1);
  // As planned: the former primary follows, without a copy.
  ASSERT_OK(second.Promote());
  ASSERT_OK(second.Put("of the second", &position));
  EXPECT_OK(first.Get("of the second", position));
  EXPECT_FALSE(first.Put("refused").ok());
  EXPECT_EQ(first.Status().seeds(), 0);
  // A primary that crashed goes on.
  second.Kill();
  EXPECT_OK(first.Get("of the second", ""));
  ASSERT_NO_FATAL_FAILURE(second.Start());
  ASSERT_OK(second.Put("after a crash", &position));
  EXPECT_TRUE(Eventually([&] { return first.Get("after a crash", position).ok(); }));
  ASSERT_TRUE(Eventually([&] { return first.Promote().ok(); }));
  ASSERT_OK(first.Put("of the first", &position));
  EXPECT_OK(second.Get("of the first", position));
  // By force: what only the one that was lost had is given up, with a new copy.
  second.Kill();
  ASSERT_OK(first.Put("given up"));
  first.Kill();
  ASSERT_NO_FATAL_FAILURE(second.Start());
  ASSERT_OK(second.Promote(/*force=*/true));
  ASSERT_OK(second.Put("by force", &position));
  ASSERT_NO_FATAL_FAILURE(first.Start());
  EXPECT_TRUE(Eventually([&] { return first.Get("by force", position).ok(); })) << first.Output();
  EXPECT_EQ(first.Get("given up", "").code(), absl::StatusCode::kNotFound);
  ExpectEqual(first, second);
}

TEST(NeighboursTest, AnElectionBetweenThem) {
  server::EtcdProcess etcd;
  ASSERT_TRUE(etcd.running());
  const auto flags = [&](const std::string& name) {
    const std::string address = absl::StrCat("127.0.0.1:", server::FreePort());
    return std::vector<std::string>{
        "--sync_mode=full",
        "--sync_replicas=1",
        "--replica_name=" + name,
        "--listen=" + address,
        "--advertise_address=" + address,
        "--lease_seconds=2",
        "--lease_margin_ms=500",
        "--etcd_endpoints=" + etcd.address(),
        "--found_cluster=" + std::string(name == "one" ? "true" : "false")};
  };
  Machine first(Program("COOKIX_PRIMARY"), flags("one"));
  Machine second(Program("COOKIX_REPLICA"), flags("two"));
  ASSERT_NO_FATAL_FAILURE(first.Start());
  ASSERT_TRUE(Eventually([&] { return first.Leads(); })) << first.Output();
  ASSERT_NO_FATAL_FAILURE(second.Start());
  const auto both_in_sync = [&](Machine& leader) {
    return Eventually(
        [&] { return leader.Leads() && leader.Status().cluster().in_sync_size() == 2; });
  };
  ASSERT_TRUE(both_in_sync(first)) << first.Output() << second.Output();
  ASSERT_OK(first.Put("acknowledged"));
  first.Kill();
  ASSERT_TRUE(Eventually([&] { return second.Leads(); })) << second.Output();
  EXPECT_OK(second.Get("acknowledged", ""));
  ASSERT_NO_FATAL_FAILURE(first.Start());
  ASSERT_TRUE(both_in_sync(second)) << first.Output() << second.Output();
  ASSERT_OK(second.Put("of the second"));
  ASSERT_TRUE(Eventually([&] { return first.Promote().ok(); })) << first.Output();
  ASSERT_TRUE(both_in_sync(first)) << first.Output() << second.Output();
  ASSERT_OK(first.Put("of the first"));
  ExpectEqual(first, second);
}

}  // namespace
}  // namespace cookix::tests
