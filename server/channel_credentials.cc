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

absl::StatusOr<client::TlsSettings> ReadTlsSettings(std::string_view settings,
                                                    const std::string& ca, const std::string& cert,
                                                    const std::string& key) {
  client::TlsSettings tls;
  tls.on = !ca.empty();
  if (!tls.on) return tls;
  const std::string prefix(settings);
  if (ca != "system") {
    COOKIX_ASSIGN_OR_RETURN(tls.ca_pem, ReadFile(prefix + "_ca", ca));
  }
  if (!cert.empty()) {
    COOKIX_ASSIGN_OR_RETURN(tls.certificate_pem, ReadFile(prefix + "_cert", cert));
    COOKIX_ASSIGN_OR_RETURN(tls.key_pem, ReadFile(prefix + "_key", key));
  }
  return tls;
}

absl::StatusOr<std::string> ReadFirstLine(std::string_view setting, const std::string& path) {
  COOKIX_ASSIGN_OR_RETURN(std::string line, ReadFile(setting, path));
  line.resize(std::min(line.find('\n'), line.size()));
  if (!line.empty() && line.back() == '\r') line.pop_back();
  return line;
}

}  // namespace cookix::server
