// replication status, replication promote, replication follow.
#include <string>
#include <vector>

#include "absl/strings/str_join.h"
#include "storage/base/status.h"
#include "tools/cli/command.h"
#include "tools/cli/render.h"
#include "tools/cli/text_width.h"

namespace cookix::cli {
namespace {

std::string RoleWord(v1::ReplicationRole role) {
  switch (role) {
    case v1::REPLICATION_ROLE_PRIMARY:
      return "primary";
    case v1::REPLICATION_ROLE_REPLICA:
      return "replica";
    case v1::REPLICATION_ROLE_FENCED:
      return "fenced: another server took over";
    default:
      return "unknown";
  }
}

std::string StateWord(v1::ReplicaState state) {
  switch (state) {
    case v1::REPLICA_STATE_CONNECTING:
      return "connecting";
    case v1::REPLICA_STATE_SEEDING:
      return "receiving a copy";
    case v1::REPLICA_STATE_CATCHING_UP:
      return "catching up";
    case v1::REPLICA_STATE_FOLLOWING:
      return "following";
    case v1::REPLICA_STATE_FAILED:
      return "failed";
    case v1::REPLICA_STATE_DISCONNECTED:
      return "disconnected";
    case v1::REPLICA_STATE_DROPPED:
      return "dropped";
    default:
      return "unknown";
  }
}

std::string LagText(int64_t commits, int64_t ms) {
  if (commits == 0 && ms == 0) return "none";
  return WithCommas(commits) + " commits, " + NumberText(static_cast<double>(ms) / 1000) + " s";
}

void PrintStatus(const v1::GetReplicationStatusResponse& status, Terminal& out) {
  const auto line = [&out](std::string name, const std::string& value) {
    name.resize(14, ' ');
    out.Line(out.Paint(name, Tone::kDim) + OneLine(value));
  };
  const bool elects = status.has_cluster() && status.role() == v1::REPLICATION_ROLE_FENCED;
  line("role", elects ? "stood down: waits for a leader" : RoleWord(status.role()));
  line("store", status.store_id().empty() ? "none yet" : status.store_id());
  line("epoch", WithCommas(status.epoch()));
  line("commit", WithCommas(status.commit()));
  if (status.role() != v1::REPLICATION_ROLE_PRIMARY) {
    line("primary", status.primary_address().empty() ? "unknown" : status.primary_address());
  }
  if (status.role() == v1::REPLICATION_ROLE_REPLICA) {
    line("follows", status.follows());
    line("state", StateWord(status.state()));
    if (status.seed_total_bytes() > 0) {
      line("received",
           HumanBytes(status.seed_bytes()) + " of " + HumanBytes(status.seed_total_bytes()));
    }
    line("lag", LagText(status.lag_commits(), status.lag_ms()));
    line("last contact", TimeText(status.last_contact_ms()));
    if (!status.last_error().empty()) {
      line("last error", TimeText(status.last_error_ms()) + "  " + status.last_error());
    }
  }
  if (status.has_cluster()) {
    const v1::ClusterStatus& cluster = status.cluster();
    line("leader", cluster.leader().empty() ? "nobody" : cluster.leader());
    line("in sync", absl::StrJoin(cluster.in_sync(), ", "));
    if (cluster.lease_ms() > 0) {
      line("lease", NumberText(static_cast<double>(cluster.lease_ms()) / 1000) + " s left");
    }
    if (cluster.leader().empty() && !cluster.waiting_for().empty()) {
      line("why not this", cluster.waiting_for());
    }
    if (!cluster.last_error().empty()) line("etcd", cluster.last_error());
  }
  if (status.replicas().empty()) return;
  out.Line();
  Table table({{"REPLICA", false, Tone::kBold},
               {"ADDRESS"},
               {"STATE"},
               {"COMMIT", true},
               {"LAG"},
               {"LAST CONTACT"},
               {"NOTE", false, Tone::kDim}});
  for (const v1::ReplicaStatus& replica : status.replicas()) {
    table.Add({replica.name(), replica.address().empty() ? "-" : replica.address(),
               StateWord(replica.state()), WithCommas(replica.commit()),
               LagText(replica.lag_commits(), replica.lag_ms()),
               TimeText(replica.last_contact_ms()), replica.last_error()});
  }
  table.Print(out);
}

absl::Status Status(Context& context) {
  v1::GetReplicationStatusResponse response;
  COOKIX_CALL(context, GetReplicationStatus, v1::GetReplicationStatusRequest(), &response);
  context.Answer(response, [&] { PrintStatus(response, context.out()); });
  return absl::OkStatus();
}

absl::Status Promote(Context& context) {
  v1::PromoteRequest request;
  request.set_force(context.args().Has("force"));
  v1::PromoteResponse response;
  COOKIX_CALL(context, Promote, request, &response);
  context.Answer(response, [&] {
    if (context.quiet()) return;
    context.out().Line("the server takes writes, in epoch " + WithCommas(response.epoch()));
    if (!response.former_primary_told()) {
      context.out().Line("the primary before does not know yet: it is told when it can be reached");
    }
  });
  return absl::OkStatus();
}

absl::Status Follow(Context& context) {
  v1::FollowRequest request;
  request.set_address(context.args().Positional(0));
  v1::FollowResponse response;
  COOKIX_CALL(context, Follow, request, &response);
  context.Answer(response, [&] {
    if (!context.quiet()) {
      context.out().Line("the server follows " + OneLine(request.address()) +
                         "; see `cookix replication status`");
    }
  });
  return absl::OkStatus();
}

}  // namespace

std::vector<Command> ReplicationCommands() {
  return {
      {"replication status",
       {"replication"},
       "the server's part, its lag, and who follows it",
       {},
       {},
       {"cookix replication status", "cookix --server replica:7625 replication status --json"},
       Status},
      {"replication promote",
       {},
       "make a replica the primary",
       {},
       {{"force", "", "also when the primary does not answer: what only it has is lost"}},
       {"cookix --server replica:7625 replication promote"},
       Promote},
      {"replication follow",
       {},
       "make the server a replica of another one",
       {{"HOST:PORT", "the server to follow"}},
       {},
       {"cookix replication follow primary:7625"},
       Follow},
  };
}

}  // namespace cookix::cli
