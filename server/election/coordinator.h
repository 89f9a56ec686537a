// What servers of one store agree on through a third party: who leads, in which epoch, and who
// may lead next. etcd in the daemon (etcd_coordinator.h), scripted in tests.
#ifndef COOKIX_SERVER_ELECTION_COORDINATOR_H_
#define COOKIX_SERVER_ELECTION_COORDINATOR_H_

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace cookix::server {

// A server with the store that it has. The id changes when the server begins again with
// another store or a copy: what a member had, its successor of the same name need not have.
struct ClusterMember {
  std::string id;
  // For people.
  std::string name;

  bool operator==(const ClusterMember&) const = default;
};

// What outlives every leader.
struct ClusterRecord {
  // 32 hexadecimal digits.
  std::string store_id;
  // The last that anybody began.
  uint64_t epoch = 0;
  // Those that have every commit that was acknowledged, but for as many of the last as may be
  // lost. Only they may lead.
  std::vector<ClusterMember> in_sync;
  // The id of the member that the last leader made way for; empty when it did for nobody.
  std::string successor;

  bool Has(const std::string& member) const;
};

// What goes with the leader's lease.
struct ClusterLeader {
  ClusterMember member;
  // host:port, for clients and other servers.
  std::string address;
};

struct ClusterState {
  // None before the cluster was founded.
  std::optional<ClusterRecord> record;
  // Of the record, rising; 0 without one.
  int64_t revision = 0;
  // None when nobody leads.
  std::optional<ClusterLeader> leader;
  int64_t leader_lease = 0;
};

// Every call waits for a bounded time. After an error other than those named, nobody knows
// whether what was asked for happened, or happens later. Thread-safe.
class Coordinator {
 public:
  virtual ~Coordinator() = default;

  // As agreed on at some moment during the call.
  virtual absl::StatusOr<ClusterState> Read() = 0;

  struct Lease {
    int64_t id = 0;
    std::chrono::milliseconds duration{0};
  };
  // A lease of at least `duration`, from some moment during the call on.
  virtual absl::StatusOr<Lease> Grant(std::chrono::milliseconds duration) = 0;
  // Begins its time anew, at some moment during the call. NOT_FOUND when it has ended.
  virtual absl::StatusOr<Lease> Renew(int64_t lease) = 0;
  // Ends it at once, if it can.
  virtual void Revoke(int64_t lease) = 0;

  // Puts the record, and the leader with a lease, if the record's revision is `revision` and
  // nobody leads. Answers the record's new revision, 0 when the condition did not hold.
  virtual absl::StatusOr<int64_t> Lead(int64_t revision, const ClusterRecord& record,
                                       const ClusterLeader& leader, int64_t lease) = 0;
  // Puts the record if its revision is `revision` and the leader's lease is `lease`. Answers as
  // Lead() does.
  virtual absl::StatusOr<int64_t> Update(int64_t revision, const ClusterRecord& record,
                                         int64_t lease) = 0;
};

}  // namespace cookix::server

#endif  // COOKIX_SERVER_ELECTION_COORDINATOR_H_
