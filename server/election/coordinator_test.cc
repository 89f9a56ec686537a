// What an election relies on, from etcd and from the coordinator that tests script.
#include "server/election/coordinator.h"

#include <grpcpp/grpcpp.h>
#include <signal.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "server/election/etcd_coordinator.h"
#include "server/election/etcd_process.h"
#include "server/election/scripted_coordinator.h"
#include "storage/base/status.h"
#include "third_party/etcd/etcd.grpc.pb.h"

namespace cookix::server {
namespace {

using std::chrono::milliseconds;

// One coordinator and two connections to it.
struct Subject {
  std::unique_ptr<TestCertificates> certificates;
  std::unique_ptr<EtcdProcess> etcd;
  std::unique_ptr<ScriptedCoordinator> scripted;
  std::shared_ptr<Coordinator> one;
  std::shared_ptr<Coordinator> two;
};

Subject MakeEtcd() {
  Subject subject;
  subject.etcd = std::make_unique<EtcdProcess>();
  EXPECT_TRUE(subject.etcd->running());
  EtcdOptions options;
  // Nobody listens at the first.
  options.endpoints = "127.0.0.1:1," + subject.etcd->address();
  options.prefix = "/cookix/test";
  for (std::shared_ptr<Coordinator>* const connection : {&subject.one, &subject.two}) {
    auto made = NewEtcdCoordinator(options);
    EXPECT_TRUE(made.ok()) << made.status();
    *connection = *std::move(made);
    // After the first failure it is at the second.
    EXPECT_FALSE((*connection)->Read().ok());
  }
  return subject;
}

// With TLS that wants certificates of clients, and a user who may do nothing else.
Subject MakeSecuredEtcd() {
  Subject subject;
  subject.certificates = std::make_unique<TestCertificates>();
  subject.etcd = std::make_unique<EtcdProcess>(subject.certificates.get());
  EXPECT_TRUE(subject.etcd->running());
  subject.etcd->EnableUsers();
  EtcdOptions options = subject.etcd->Options("/cookix/test");
  subject.etcd->Grant("cookix", options.prefix);
  options.user = "cookix";
  options.password_file = subject.certificates->Path("password");
  std::ofstream(options.password_file) << "cookix\n";
  for (std::shared_ptr<Coordinator>* const connection : {&subject.one, &subject.two}) {
    auto made = NewEtcdCoordinator(options);
    EXPECT_TRUE(made.ok()) << made.status();
    *connection = *std::move(made);
  }
  return subject;
}

Subject MakeScripted() {
  Subject subject;
  subject.scripted = std::make_unique<ScriptedCoordinator>();
  subject.one = subject.scripted->Connect([] { return CallFate::kAnswered; });
  subject.two = subject.scripted->Connect([] { return CallFate::kAnswered; });
  return subject;
}

class CoordinatorTest : public testing::TestWithParam<std::function<Subject()>> {
 protected:
  void SetUp() override { subject_ = GetParam()(); }

  int64_t Grant(Coordinator& coordinator, milliseconds duration = std::chrono::seconds(60)) {
    const auto lease = coordinator.Grant(duration);
    EXPECT_TRUE(lease.ok()) << lease.status();
    EXPECT_GE(lease->duration, duration);
    return lease->id;
  }

  const ClusterRecord record_{"00112233", 7, {{"m1", "one"}, {"m2", "t\"wo"}}, "m2"};
  const ClusterLeader leader_{{"m1", "one"}, "one.example:7625"};
  Subject subject_;
};

TEST_P(CoordinatorTest, AnswersWhatWasPut) {
  auto state = subject_.one->Read();
  ASSERT_TRUE(state.ok()) << state.status();
  EXPECT_FALSE(state->record.has_value());
  EXPECT_FALSE(state->leader.has_value());
  EXPECT_EQ(state->revision, 0);
  const int64_t lease = Grant(*subject_.one);
  const auto revision = subject_.one->Lead(0, record_, leader_, lease);
  ASSERT_TRUE(revision.ok()) << revision.status();
  ASSERT_GT(*revision, 0);
  state = subject_.two->Read();
  ASSERT_TRUE(state.ok()) << state.status();
  ASSERT_TRUE(state->record.has_value());
  EXPECT_EQ(state->record->store_id, record_.store_id);
  EXPECT_EQ(state->record->epoch, 7u);
  EXPECT_EQ(state->record->in_sync, record_.in_sync);
  EXPECT_EQ(state->record->successor, "m2");
  EXPECT_EQ(state->revision, *revision);
  ASSERT_TRUE(state->leader.has_value());
  EXPECT_EQ(state->leader->member, leader_.member);
  EXPECT_EQ(state->leader->address, leader_.address);
  EXPECT_EQ(state->leader_lease, lease);
}

TEST_P(CoordinatorTest, OneLeadsAtATime) {
  const int64_t first = Grant(*subject_.one);
  const int64_t second = Grant(*subject_.two);
  const auto revision = subject_.one->Lead(0, record_, leader_, first);
  ASSERT_TRUE(revision.ok());
  // With what it had read before, and with what there is now.
  for (const int64_t read : {int64_t{0}, *revision}) {
    const auto refused = subject_.two->Lead(read, record_, leader_, second);
    ASSERT_TRUE(refused.ok()) << refused.status();
    EXPECT_EQ(*refused, 0);
  }
  subject_.one->Revoke(first);
  EXPECT_FALSE(subject_.two->Read()->leader.has_value());
  // The record stays, so what was read of it counts.
  EXPECT_EQ(subject_.two->Lead(0, record_, leader_, second).value_or(-1), 0);
  EXPECT_GT(subject_.two->Lead(*revision, record_, leader_, second).value_or(-1), *revision);
}

TEST_P(CoordinatorTest, OnlyTheLeaderChangesTheRecordAndOnlyAsItWasRead) {
  const int64_t lease = Grant(*subject_.one);
  const int64_t other = Grant(*subject_.two);
  const auto revision = subject_.one->Lead(0, record_, leader_, lease);
  ASSERT_TRUE(revision.ok());
  ClusterRecord changed = record_;
  changed.in_sync.pop_back();
  EXPECT_EQ(subject_.two->Update(*revision, changed, other).value_or(-1), 0);
  const auto next = subject_.one->Update(*revision, changed, lease);
  ASSERT_TRUE(next.ok());
  EXPECT_GT(*next, *revision);
  EXPECT_EQ(subject_.one->Update(*revision, record_, lease).value_or(-1), 0);
  EXPECT_EQ(subject_.two->Read()->record->in_sync, changed.in_sync);
  subject_.one->Revoke(lease);
  EXPECT_EQ(subject_.one->Update(*next, record_, lease).value_or(-1), 0);
}

TEST_P(CoordinatorTest, ALeaseEndsUnlessItIsRenewed) {
  const int64_t lease = Grant(*subject_.one, std::chrono::seconds(2));
  ASSERT_TRUE(subject_.one->Lead(0, record_, leader_, lease).ok());
  const auto renewed = subject_.one->Renew(lease);
  ASSERT_TRUE(renewed.ok()) << renewed.status();
  EXPECT_GE(renewed->duration, std::chrono::seconds(2));
  while (subject_.two->Read()->leader.has_value()) {
    std::this_thread::sleep_for(milliseconds(50));
  }
  EXPECT_EQ(subject_.one->Renew(lease).status().code(), absl::StatusCode::kNotFound);
  const auto late = subject_.one->Lead(subject_.two->Read()->revision, record_, leader_, lease);
  EXPECT_FALSE(late.ok() && *late > 0);
}

constexpr const char* kSubjects[] = {"Etcd", "SecuredEtcd", "Scripted"};

INSTANTIATE_TEST_SUITE_P(All, CoordinatorTest,
                         testing::Values(MakeEtcd, MakeSecuredEtcd, MakeScripted),
                         [](const auto& tested) { return kSubjects[tested.index]; });

TEST(EtcdCoordinatorTest, SaysWhatIsWrong) {
  const auto field = [](const EtcdOptions& options) {
    const auto made = NewEtcdCoordinator(options);
    const auto detail = GetErrorDetail(made.status());
    return detail.has_value() ? detail->field : made.status().ToString();
  };
  EtcdOptions good;
  good.endpoints = "one:2379,two:2379";
  good.prefix = "/cookix/default";
  EXPECT_EQ(field(good), "OK");
  EtcdOptions options = good;
  options.endpoints = "one:2379,,two:2379";
  EXPECT_EQ(field(options), "etcd_endpoints");
  options.endpoints = "one";
  EXPECT_EQ(field(options), "etcd_endpoints");
  for (const char* const prefix : {"", "cookix", "/cookix/", "/"}) {
    options = good;
    options.prefix = prefix;
    EXPECT_EQ(field(options), "etcd_prefix") << prefix;
  }
  options = good;
  options.user = "root";
  EXPECT_EQ(field(options), "etcd_user");
  options.tls_ca = "system";
  options.password_file = "/nonexistent";
  EXPECT_EQ(field(options), "etcd_password_file");
  options = good;
  options.tls_ca = "/nonexistent";
  EXPECT_EQ(field(options), "etcd_tls_ca");
}

// A member of etcd that renews leases in one term and reads in another.
class FormerLeader final : public etcdserverpb::KV::Service, public etcdserverpb::Lease::Service {
 public:
  FormerLeader() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(static_cast<etcdserverpb::KV::Service*>(this));
    builder.RegisterService(static_cast<etcdserverpb::Lease::Service*>(this));
    server_ = builder.BuildAndStart();
  }

  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  void ReadIn(uint64_t term) { term_ = term; }

  grpc::Status Range(grpc::ServerContext*, const etcdserverpb::RangeRequest*,
                     etcdserverpb::RangeResponse* response) override {
    response->mutable_header()->set_raft_term(term_);
    return grpc::Status::OK;
  }
  grpc::Status LeaseKeepAlive(
      grpc::ServerContext*,
      grpc::ServerReaderWriter<etcdserverpb::LeaseKeepAliveResponse,
                               etcdserverpb::LeaseKeepAliveRequest>* stream) override {
    etcdserverpb::LeaseKeepAliveRequest request;
    while (stream->Read(&request)) {
      etcdserverpb::LeaseKeepAliveResponse response;
      response.mutable_header()->set_raft_term(4);
      response.set_ttl(5);
      stream->Write(response);
    }
    return grpc::Status::OK;
  }

 private:
  std::atomic<uint64_t> term_{4};
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

TEST(EtcdCoordinatorTest, WhoLedEtcdBeforeRenewsNothing) {
  FormerLeader etcd;
  EtcdOptions options;
  options.endpoints = etcd.address();
  options.prefix = "/cookix/test";
  const auto coordinator = NewEtcdCoordinator(options);
  ASSERT_TRUE(coordinator.ok());
  const auto renewed = (*coordinator)->Renew(1);
  ASSERT_TRUE(renewed.ok()) << renewed.status();
  EXPECT_EQ(renewed->duration, std::chrono::seconds(5));
  etcd.ReadIn(5);
  EXPECT_EQ((*coordinator)->Renew(1).status().code(), absl::StatusCode::kUnavailable);
}

TEST(EtcdCoordinatorTest, NamesAreNotAlwaysText) {
  EtcdProcess etcd;
  ASSERT_TRUE(etcd.running());
  EtcdOptions options;
  options.endpoints = etcd.address();
  options.prefix = "/cookix/test";
  const auto coordinator = NewEtcdCoordinator(options);
  ASSERT_TRUE(coordinator.ok());
  const ClusterMember member{"m1", "host:/d\xe9p\xf4t"};
  const auto lease = (*coordinator)->Grant(std::chrono::seconds(60));
  ASSERT_TRUE(lease.ok()) << lease.status();
  EXPECT_GT(
      (*coordinator)->Lead(0, {"00", 1, {member}, ""}, {member, "a:1"}, lease->id).value_or(0), 0);
  const auto state = (*coordinator)->Read();
  ASSERT_TRUE(state.ok()) << state.status();
  EXPECT_TRUE(state->record->Has("m1"));
}

TEST(EtcdCoordinatorTest, WhatDoesNotAnswerCostsABoundedTime) {
  EtcdProcess etcd;
  ASSERT_TRUE(etcd.running());
  EtcdOptions options;
  options.endpoints = etcd.address();
  options.prefix = "/cookix/test";
  options.timeout = milliseconds(200);
  const auto coordinator = NewEtcdCoordinator(options);
  ASSERT_TRUE(coordinator.ok());
  etcd.Signal(SIGSTOP);
  EXPECT_FALSE((*coordinator)->Read().ok());
  EXPECT_FALSE((*coordinator)->Grant(std::chrono::seconds(5)).ok());
  EXPECT_NE((*coordinator)->Renew(1).status().code(), absl::StatusCode::kNotFound);
  etcd.Signal(SIGCONT);
  while (!(*coordinator)->Read().ok()) {
  }
  EXPECT_EQ((*coordinator)->Renew(1).status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace cookix::server
