// A real etcd for tests, in a process of its own.
#ifndef COOKIX_SERVER_ELECTION_ETCD_PROCESS_H_
#define COOKIX_SERVER_ELECTION_ETCD_PROCESS_H_

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "client/tls_settings.h"
#include "server/election/etcd_coordinator.h"
#include "server/test_certificates.h"
#include "third_party/etcd/etcd.grpc.pb.h"

extern char** environ;

namespace cookix::server {

inline int FreePort() {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(address);
  EXPECT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&address), length), 0);
  EXPECT_EQ(getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length), 0);
  close(fd);
  return ntohs(address.sin_port);
}

// One member with a directory of its own.
class EtcdProcess {
 public:
  // Without certificates plain text. With them it has "etcd" and wants one of the authority "ca"
  // from clients, of which "client" is one. `flags`: more of etcd's.
  explicit EtcdProcess(TestCertificates* certificates = nullptr,
                       std::vector<std::string> flags = {})
      : directory_(std::filesystem::path(testing::TempDir()) / "etcd"),
        certificates_(certificates),
        flags_(std::move(flags)) {
    std::filesystem::remove_all(directory_);
    if (certificates_ != nullptr) {
      certificates_->MakeAuthority("ca");
      certificates_->Make("ca", "etcd");
      certificates_->Make("ca", "client");
    }
    // A port that is free now may be taken a moment later.
    for (int attempt = 0; attempt < 5 && !running_; ++attempt) {
      port_ = FreePort();
      peer_port_ = FreePort();
      Launch();
    }
  }
  ~EtcdProcess() {
    Kill();
    std::filesystem::remove_all(directory_);
  }

  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  bool running() const { return running_; }
  void Signal(int signal) const { kill(pid_, signal); }

  // On the same data and the same ports.
  void Restart() {
    Kill();
    Launch();
    EXPECT_TRUE(running_);
  }

  // Options that work as long as there are no users.
  EtcdOptions Options(const std::string& prefix) const {
    EtcdOptions options;
    options.endpoints = address();
    options.prefix = prefix;
    if (certificates_ != nullptr) {
      options.tls_ca = certificates_->Path("ca.crt");
      options.tls_cert = certificates_->Path("client.crt");
      options.tls_key = certificates_->Path("client.key");
    }
    return options;
  }

  // Users from now on: "root" and, with the role of the same name, "cookix". The password of
  // each is its name.
  void EnableUsers() {
    AddUser("root");
    AddUser("cookix");
    Admin(&etcdserverpb::Auth::Stub::AuthEnable, etcdserverpb::AuthEnableRequest());
    etcdserverpb::AuthenticateRequest request;
    request.set_name("root");
    request.set_password("root");
    etcdserverpb::AuthenticateResponse response;
    grpc::ClientContext context;
    const grpc::Status status =
        etcdserverpb::Auth::NewStub(Channel())->Authenticate(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    token_ = response.token();
  }

  // Whoever has the role may do everything below the prefix.
  void Grant(const std::string& role, const std::string& prefix) {
    etcdserverpb::AuthRoleGrantPermissionRequest request;
    request.set_name(role);
    request.mutable_perm()->set_perm_type(etcdserverpb::Permission::READWRITE);
    request.mutable_perm()->set_key(prefix + "/");
    request.mutable_perm()->set_range_end(prefix + "0");
    Admin(&etcdserverpb::Auth::Stub::RoleGrantPermission, request);
  }

 private:
  void Kill() {
    if (pid_ <= 0) return;
    Signal(SIGKILL);
    waitpid(pid_, nullptr, 0);
    pid_ = -1;
    running_ = false;
  }

  void Launch() {
    const std::string scheme = certificates_ == nullptr ? "http://" : "https://";
    const std::string peer = "http://127.0.0.1:" + std::to_string(peer_port_);
    std::vector<std::string> words = {"etcd",
                                      "--data-dir",
                                      directory_.string(),
                                      "--listen-client-urls",
                                      scheme + address(),
                                      "--advertise-client-urls",
                                      scheme + address(),
                                      "--listen-peer-urls",
                                      peer,
                                      "--initial-advertise-peer-urls",
                                      peer,
                                      "--initial-cluster",
                                      "default=" + peer,
                                      "--enable-grpc-gateway=false",
                                      "--log-level",
                                      "error"};
    if (certificates_ != nullptr) {
      for (const auto& [flag, file] :
           {std::pair("--cert-file", "etcd.crt"), std::pair("--key-file", "etcd.key"),
            std::pair("--trusted-ca-file", "ca.crt")}) {
        words.push_back(flag);
        words.push_back(certificates_->Path(file));
      }
      words.push_back("--client-cert-auth");
    }
    words.insert(words.end(), flags_.begin(), flags_.end());
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    ASSERT_EQ(posix_spawnp(&pid_, "etcd", nullptr, nullptr, argv.data(), environ), 0)
        << "etcd is not installed";
    const auto coordinator = NewEtcdCoordinator(Options("/probe"));
    ASSERT_TRUE(coordinator.ok()) << coordinator.status();
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes(1);
    while (std::chrono::steady_clock::now() < deadline) {
      if (waitpid(pid_, nullptr, WNOHANG) == pid_) {
        pid_ = -1;
        return;
      }
      // With users it answers that this is none.
      const absl::Status read = (*coordinator)->Read().status();
      running_ = read.ok() || (read.code() != absl::StatusCode::kUnavailable &&
                               read.code() != absl::StatusCode::kDeadlineExceeded);
      if (running_) return;
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  }

  std::shared_ptr<grpc::Channel> Channel() const {
    client::TlsSettings tls;
    if (certificates_ != nullptr) {
      tls = {true, certificates_->Read("ca.crt"), certificates_->Read("client.crt"),
             certificates_->Read("client.key"), ""};
    }
    return grpc::CreateChannel(address(), client::ToCredentials(tls));
  }

  template <typename Request>
  void Admin(grpc::Status (etcdserverpb::Auth::Stub::*method)(grpc::ClientContext*, const Request&,
                                                              etcdserverpb::AuthResponse*),
             const Request& request) {
    etcdserverpb::AuthResponse response;
    grpc::ClientContext context;
    if (!token_.empty()) context.AddMetadata("token", token_);
    const auto stub = etcdserverpb::Auth::NewStub(Channel());
    const grpc::Status status = ((*stub).*method)(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
  }

  void AddUser(const std::string& name) {
    etcdserverpb::AuthRoleAddRequest role;
    role.set_name(name);
    Admin(&etcdserverpb::Auth::Stub::RoleAdd, role);
    etcdserverpb::AuthUserAddRequest user;
    user.set_name(name);
    user.set_password(name);
    Admin(&etcdserverpb::Auth::Stub::UserAdd, user);
    etcdserverpb::AuthUserGrantRoleRequest grant;
    grant.set_user(name);
    grant.set_role(name);
    Admin(&etcdserverpb::Auth::Stub::UserGrantRole, grant);
  }

  const std::filesystem::path directory_;
  TestCertificates* const certificates_;
  const std::vector<std::string> flags_;
  int port_ = 0;
  int peer_port_ = 0;
  pid_t pid_ = -1;
  bool running_ = false;
  std::string token_;
};

}  // namespace cookix::server

#endif  // COOKIX_SERVER_ELECTION_ETCD_PROCESS_H_
