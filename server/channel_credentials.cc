#include "server/channel_credentials.h"

#include <algorithm>
#include <fstream>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "storage/base/status.h"

namespace cookix::server {
namespace {

absl::StatusOr<std::string> ReadFile(std::string_view setting, const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  if (!file.is_open() || file.bad() || text.empty()) {
    return InvalidField(setting, absl::StrCat("The file ", path, " cannot be read or is empty"),
                        "Name a file that exists and that the server may read.");
  }
  return text;
}

}  // namespace

absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> MakeChannelCredentials(
    std::string_view settings, const std::string& ca, const std::string& cert,
    const std::string& key) {
  if (ca.empty()) return grpc::InsecureChannelCredentials();
  const std::string prefix(settings);
  grpc::SslCredentialsOptions ssl;
  if (ca != "system") {
    COOKIX_ASSIGN_OR_RETURN(ssl.pem_root_certs, ReadFile(prefix + "_ca", ca));
  }
  if (!cert.empty()) {
    COOKIX_ASSIGN_OR_RETURN(ssl.pem_cert_chain, ReadFile(prefix + "_cert", cert));
    COOKIX_ASSIGN_OR_RETURN(ssl.pem_private_key, ReadFile(prefix + "_key", key));
  }
  return grpc::SslCredentials(ssl);
}

absl::StatusOr<std::string> ReadFirstLine(std::string_view setting, const std::string& path) {
  COOKIX_ASSIGN_OR_RETURN(std::string line, ReadFile(setting, path));
  line.resize(std::min(line.find('\n'), line.size()));
  if (!line.empty() && line.back() == '\r') line.pop_back();
  return line;
}

}  // namespace cookix::server
