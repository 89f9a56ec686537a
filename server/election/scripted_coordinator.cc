#include "server/election/scripted_coordinator.h"

#include <utility>

#include "server/election/election.h"
#include "storage/base/status.h"

namespace cookix::server {
namespace {

absl::Status Unreachable() {
  return MakeError(absl::StatusCode::kUnavailable, "the coordinator does not answer",
                   {"IO_ERROR", "", "It is tried again.", true});
}

}  // namespace

class ScriptedCoordinator::Connection final : public Coordinator {
 public:
  Connection(ScriptedCoordinator& owner, std::function<CallFate()> fate)
      : owner_(owner), fate_(std::move(fate)) {}

  absl::StatusOr<ClusterState> Read() override {
    return Call<ClusterState>([&owner = owner_] { return owner.state_; });
  }

  absl::StatusOr<Lease> Grant(std::chrono::milliseconds duration) override {
    return Call<Lease>([&owner = owner_, duration] {
      const int64_t id = ++owner.last_;
      owner.duration_[id] = duration;
      owner.leases_[id] = BootClock() + duration;
      return Lease{id, duration};
    });
  }

  absl::StatusOr<Lease> Renew(int64_t lease) override {
    return Call<Lease>([&owner = owner_, lease]() -> absl::StatusOr<Lease> {
      if (owner.leases_.count(lease) == 0) return absl::NotFoundError("the lease has ended");
      const std::chrono::milliseconds duration = owner.duration_[lease];
      owner.leases_[lease] = BootClock() + duration;
      return Lease{lease, duration};
    });
  }

  void Revoke(int64_t lease) override {
    Call<bool>([&owner = owner_, lease] {
      owner.leases_.erase(lease);
      return true;
    })
        .status()
        .IgnoreError();
  }

  absl::StatusOr<int64_t> Lead(int64_t revision, const ClusterRecord& record,
                               const ClusterLeader& leader, int64_t lease) override {
    return Call<int64_t>(
        [&owner = owner_, revision, record, leader, lease]() -> absl::StatusOr<int64_t> {
          ClusterState& state = owner.state_;
          if (owner.leases_.count(lease) == 0) return absl::NotFoundError("there is no such lease");
          if (state.leader.has_value() || state.revision != revision) return 0;
          state.leader = leader;
          state.leader_lease = lease;
          return owner.Put(revision, record);
        });
  }

  absl::StatusOr<int64_t> Update(int64_t revision, const ClusterRecord& record,
                                 int64_t lease) override {
    return Call<int64_t>([&owner = owner_, revision, record, lease]() -> absl::StatusOr<int64_t> {
      if (!owner.state_.leader.has_value() || owner.state_.leader_lease != lease) return 0;
      return owner.Put(revision, record);
    });
  }

 private:
  // `request` may arrive when the connection is gone: it uses the coordinator alone.
  template <typename Result>
  absl::StatusOr<Result> Call(std::function<absl::StatusOr<Result>()> request) {
    const CallFate fate = fate_();
    if (fate == CallFate::kRequestLost) return Unreachable();
    const std::lock_guard<std::mutex> lock(owner_.mutex_);
    if (fate == CallFate::kLate) {
      owner_.late_.push_back([request] { request().status().IgnoreError(); });
      return Unreachable();
    }
    owner_.Expire();
    absl::StatusOr<Result> result = request();
    owner_.Expire();
    owner_.RunLate();
    if (fate == CallFate::kAnswerLost) return Unreachable();
    return result;
  }

  ScriptedCoordinator& owner_;
  const std::function<CallFate()> fate_;
};

std::shared_ptr<Coordinator> ScriptedCoordinator::Connect(std::function<CallFate()> fate) {
  return std::make_shared<Connection>(*this, std::move(fate));
}

ClusterState ScriptedCoordinator::State() {
  const std::lock_guard<std::mutex> lock(mutex_);
  Expire();
  return state_;
}

void ScriptedCoordinator::RemoveLeader() {
  const std::lock_guard<std::mutex> lock(mutex_);
  state_.leader.reset();
  state_.leader_lease = 0;
}

void ScriptedCoordinator::Expire() {
  const std::chrono::milliseconds now = BootClock();
  std::erase_if(leases_, [&](const auto& lease) { return lease.second <= now; });
  if (state_.leader.has_value() && leases_.count(state_.leader_lease) == 0) {
    state_.leader.reset();
    state_.leader_lease = 0;
  }
}

// Another call was answered between the sending and the arriving.
void ScriptedCoordinator::RunLate() {
  for (const std::function<void()>& request : std::exchange(late_, {})) {
    request();
    Expire();
  }
}

absl::StatusOr<int64_t> ScriptedCoordinator::Put(int64_t revision, const ClusterRecord& record) {
  if (state_.revision != revision) return 0;
  state_.record = record;
  state_.revision = ++last_;
  return state_.revision;
}

}  // namespace cookix::server
