// Writes to a primary and reads from whichever server answers, as servers change their parts.
// Arguments: the addresses of one server or several, such as db1:7625 db2:7625.
#include <cstdio>
#include <string>

#include "client/cluster_client.h"
#include "client/examples/check.h"

using cookix::client::Check;
using cookix::client::Expect;
namespace v1 = cookix::v1;

int main(int argc, char** argv) {
  cookix::client::ClusterOptions options;
  options.addresses.assign(argv + 1, argv + argc);
  auto connected = cookix::client::ConnectCluster(options);
  Check(connected.status());
  cookix::client::ClusterClient& db = **connected;

  // The primary is found, and found again when another server takes over.
  v1::PutObjectRequest put;
  put.mutable_write()->mutable_object()->mutable_ref()->set_key("rain");
  put.mutable_write()->mutable_object()->set_content("falling water");
  v1::PutObjectResponse written;
  Check(db.PutObject(put, &written));

  // Any server answers, and each knows of the write by then.
  v1::GetObjectRequest get;
  get.mutable_ref()->set_key("rain");
  v1::GetObjectResponse read;
  for (int i = 0; i < 10; ++i) {
    Check(db.GetObject(get, &read));
    Expect(read.object().content() == "falling water", "what was written");
  }

  // Somebody else goes on from here, perhaps in another process.
  auto other = cookix::client::ConnectCluster(options);
  Check(other.status());
  Check((*other)->Continue(db.position()));
  Check((*other)->GetObject(get, &read));

  for (const auto& server : db.Servers()) {
    std::printf("%s%s\n", server.address.c_str(), server.primary ? "  primary" : "");
  }
  return 0;
}
