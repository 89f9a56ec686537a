// The client of a primary and its replicas.
//
// Writes go to the primary, wherever it is: the client asks its servers who that is, asks again
// when a server says that it is none or does not answer, and repeats the write there. Each write
// carries a request id, made once, which travels with the log, so that a write that is repeated
// after a change of primary is applied once. Calls that cannot carry one (keys, maintenance) are
// repeated only when the server said that it did nothing.
//
// Reads are spread: of two servers chosen at random the one with fewer calls of this client under
// way is asked. That evens out what the calls cost and how fast the servers are, without asking
// anybody, and unlike choosing the idlest of all does not send every client to the same one. A
// server that fails rests for a while.
//
// Session: with ClusterOptions.session a client reads its own writes and never reads an earlier
// state than it has read before, whichever servers answer. The client remembers the latest
// position in answers to writes and reads, and reads that name no `min_position` are sent with it.
// A call counts for those that begin after it ended. Reads that cannot name a position (of the
// catalog and of keys, DescribeIndex, GetInfo, GetReplicationStatus and the like) are the
// primary's, and while there is none that of a replica known to be as far. A replica that does not
// get there in `replica_wait_ms` rests, and the primary is asked.
//
// Lost history: after a forced promotion what the client has seen may be gone for good. The calls
// that then need it fail with FAILED_PRECONDITION POSITION_UNKNOWN, and the session begins anew, so
// that later ones succeed: it is for the application to write again what it needs. A client that
// has meanwhile seen a commit of the new epoch does not hear of it.
//
// Calls about one server (statistics, maintenance, backups, running queries) are the primary's.
// Promote and Follow are refused, for they are about a server to be named: use ConnectRemote().
//
// Paged reads go on at the server that gave the first page; its token is good in any
// ClusterClient of the same servers, and only there.
//
// Threads: any number may call at once. One thread of the client's own asks servers what they are;
//          it asks all of them at once, each in a thread that ends with the answer.
#ifndef COOKIX_CLIENT_CLUSTER_CLIENT_H_
#define COOKIX_CLIENT_CLUSTER_CLIENT_H_

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "client/client.h"
#include "client/cluster_servers.h"
#include "client/cluster_session.h"

namespace cookix::client {

class ClusterClient : public Client {
 public:
  ClusterClient(ClusterOptions options, std::unique_ptr<ClusterServers> servers);
  ~ClusterClient() override;

#define COOKIX_DECLARE(Service, Method) \
  absl::Status Method(const v1::Method##Request& request, v1::Method##Response* response) override;
  COOKIX_CLIENT_CALLS(COOKIX_DECLARE)
#undef COOKIX_DECLARE

  // Begins again at another server as long as it has delivered nothing.
  absl::Status StreamObjects(const v1::StreamObjectsRequest& request,
                             absl::FunctionRef<bool(v1::StreamObjectsResponse&&)> sink) override;
  // Goes on at another server after the last position. With a session, a watch that names no start
  // begins after what the client has seen, and what it tells counts as seen.
  absl::Status Watch(const v1::WatchRequest& request,
                     absl::FunctionRef<bool(v1::WatchResponse&&)> sink) override;
  // The streams outlive a change of primary: writes that were not acknowledged are kept,
  // `in_flight` of them at most, and sent again. They must be gone before the client is.
  absl::StatusOr<std::unique_ptr<BulkWriter>> OpenBulkWriter(int in_flight) override;
  absl::StatusOr<std::unique_ptr<VectorWriter>> OpenVectorWriter(int in_flight) override;

  // The session's position, to be handed to another client; empty as long as nothing was seen.
  std::string position() const { return session_.token(); }
  // Goes on from another client's position. INVALID_ARGUMENT when it is none.
  absl::Status Continue(std::string_view position) { return session_.Observe(position); }

  // What is known of the servers at the moment, by address.
  std::vector<ServerSummary> Servers() const { return servers_->Summaries(); }

 private:
  template <class Request, class Response, class Once>
  absl::Status Call(std::string_view service, std::string_view method, const Request& request,
                    Response* response, Once&& once);
  template <class Request, class Response, class Once>
  absl::Status SpreadRead(const Request& request, Response* response, Once&& once);
  template <class Request, class Response, class Once>
  absl::Status NextPage(const Request& request, Response* response, Once&& once);

  // What a call does at a server, within the time.
  using Attempt = absl::FunctionRef<absl::Status(ClusterServer&, std::chrono::milliseconds)>;
  // `waits_less`: the server is to wait for the position only as long as suits a replica.
  using ReadAttempt =
      absl::FunctionRef<absl::Status(ClusterServer&, bool waits_less, std::chrono::milliseconds)>;

  // A read that any server may answer. `position` is that of the session, if the read was given it.
  absl::Status RunRead(int64_t timeout_ms, const std::string& position, ReadAttempt attempt);
  // A read that is the primary's, or while there is none `elsewhere` that of a replica which is
  // as far as the session.
  absl::Status RunPrimaryRead(bool elsewhere, Attempt attempt);
  absl::Status RunWrite(bool safe_to_repeat, Attempt attempt);
  void Observe(std::string_view position);

  const ClusterOptions options_;
  const std::unique_ptr<ClusterServers> servers_;
  ClusterSession session_;
};

// Connects lazily: errors of the network come from the first call. INVALID_ARGUMENT when the
// options cannot work.
absl::StatusOr<std::unique_ptr<ClusterClient>> ConnectCluster(ClusterOptions options);

}  // namespace cookix::client

#endif  // COOKIX_CLIENT_CLUSTER_CLIENT_H_
