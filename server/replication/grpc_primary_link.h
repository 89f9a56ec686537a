// PrimaryLink over gRPC.
#ifndef COOKIX_SERVER_REPLICATION_GRPC_PRIMARY_LINK_H_
#define COOKIX_SERVER_REPLICATION_GRPC_PRIMARY_LINK_H_

#include <chrono>
#include <string>

#include "server/replication/primary_link.h"

namespace cookix::server {

struct GrpcLinkOptions {
  // Read at every connection, so that what is replaced is used: the first line of this file is
  // the key. Empty = none.
  std::string key_file;
  // TLS when set: a file of certificate authorities in PEM, or "system".
  std::string tls_ca;
  // mTLS: files of this server's certificate and key, in PEM.
  std::string tls_cert;
  std::string tls_key;
  // Name expected in the other server's certificate; empty = the host of its address.
  std::string tls_name;
  // A key is sent without TLS to other machines too.
  bool allow_plaintext = false;
  // Of calls that are not streams, and of the pauses between pieces of a file.
  std::chrono::milliseconds timeout{10'000};
};

// Makes connections to `address`, each with a channel of its own.
LinkFactory GrpcLinks(GrpcLinkOptions options);

}  // namespace cookix::server

#endif  // COOKIX_SERVER_REPLICATION_GRPC_PRIMARY_LINK_H_
