#include <fstream>
#include <iterator>
#include <sstream>
#include <utility>

#include "client/cluster_client.h"
#include "engine/database.h"
#include "tools/cli/command.h"

namespace cookix::cli {
namespace {

absl::StatusOr<std::string> ReadFile(const std::string& path, const std::string& flag) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return UsageError("cannot read " + path, flag, "check the path and its permissions");
  std::ostringstream text;
  text << file.rdbuf();
  return std::move(text).str();
}

std::string Trim(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' ')) {
    text.pop_back();
  }
  return text;
}

bool Truthy(const std::optional<std::string>& value) {
  return value && (*value == "1" || *value == "true" || *value == "yes" || *value == "on");
}

// A client of the server, or of the servers if `target` names several.
absl::StatusOr<std::unique_ptr<client::Client>> Connect(client::RemoteOptions options) {
  if (options.target.find(',') == std::string::npos) {
    return client::ConnectRemote(std::move(options));
  }
  client::ClusterOptions cluster;
  std::istringstream list(options.target);
  for (std::string address; std::getline(list, address, ',');) {
    if (address.empty()) return UsageError("an address is empty", "--server", "give A:PORT,B:PORT");
    cluster.addresses.push_back(std::move(address));
  }
  options.keepalive_ms = cluster.remote.keepalive_ms;
  cluster.remote = std::move(options);
  return client::ConnectCluster(std::move(cluster));
}

}  // namespace

struct Context::Connection {
  std::unique_ptr<engine::Database> database;
  std::unique_ptr<client::Client> owned;
  client::Client* client = nullptr;
  ~Connection() { owned.reset(); }
};

Context::Context(const Environment& environment, Arguments arguments)
    : environment_(environment),
      arguments_(std::move(arguments)),
      json_(arguments_.Has("json")),
      quiet_(arguments_.Has("quiet")),
      out_(*environment.out,
           environment.out_is_terminal && !json_ && !environment.variable("NO_COLOR"),
           environment.out_is_terminal ? environment.width : 0),
      err_(*environment.err, environment.err_is_terminal && !environment.variable("NO_COLOR"),
           environment.err_is_terminal ? environment.width : 0),
      connection_(std::make_shared<Connection>()) {}

std::string Context::name_space() const {
  if (arguments_.Has("namespace")) return arguments_.Get("namespace");
  return environment_.variable("COOKIX_NAMESPACE").value_or("");
}

v1::ObjectRef Context::Ref(const std::string& key) const {
  v1::ObjectRef ref;
  ref.set_collection(collection());
  ref.set_key(key);
  return ref;
}

v1::ObjectRef Context::TargetRef(const std::string& key) const {
  v1::ObjectRef ref;
  ref.set_collection(arguments_.Has("target-collection") ? arguments_.Get("target-collection")
                                                         : collection());
  ref.set_key(key);
  return ref;
}

absl::StatusOr<client::Client*> Context::client() {
  if (environment_.client != nullptr) return environment_.client;
  if (connection_->client != nullptr) return connection_->client;
  if (arguments_.Has("data")) {
    engine::DatabaseOptions options;
    options.storage.path = arguments_.Get("data");
    options.storage.log = [this](std::string_view level, std::string_view message) {
      if (level != "info" && !quiet_) err_.Line(std::string(level) + ": " + std::string(message));
    };
    COOKIX_ASSIGN_OR_RETURN(connection_->database, engine::Database::Open(std::move(options)));
    connection_->owned = client::ConnectEmbedded(*connection_->database);
  } else {
    client::RemoteOptions options;
    options.target =
        arguments_.Get("server", environment_.variable("COOKIX_SERVER").value_or(options.target));
    COOKIX_ASSIGN_OR_RETURN(
        options.timeout_ms,
        arguments_.GetDurationMs("timeout", default_timeout_ms_.value_or(options.timeout_ms)));
    const std::string key_file =
        arguments_.Get("api-key-file", environment_.variable("COOKIX_API_KEY_FILE").value_or(""));
    if (arguments_.Has("api-key-file") ||
        (!key_file.empty() && !environment_.variable("COOKIX_API_KEY"))) {
      COOKIX_ASSIGN_OR_RETURN(std::string key, ReadFile(key_file, "--api-key-file"));
      options.api_key = Trim(std::move(key));
    } else {
      options.api_key = Trim(environment_.variable("COOKIX_API_KEY").value_or(""));
    }
    options.allow_plaintext_key = arguments_.Has("insecure-key");
    const std::string ca = arguments_.Get("ca", environment_.variable("COOKIX_CA").value_or(""));
    options.tls = arguments_.Has("tls") || !ca.empty() || arguments_.Has("cert") ||
                  Truthy(environment_.variable("COOKIX_TLS"));
    if (!ca.empty()) {
      COOKIX_ASSIGN_OR_RETURN(options.ca_pem, ReadFile(ca, "--ca"));
    }
    if (arguments_.Has("cert")) {
      COOKIX_ASSIGN_OR_RETURN(options.certificate_pem, ReadFile(arguments_.Get("cert"), "--cert"));
    }
    if (arguments_.Has("key")) {
      COOKIX_ASSIGN_OR_RETURN(options.key_pem, ReadFile(arguments_.Get("key"), "--key"));
    }
    options.server_name = arguments_.Get("server-name");
    COOKIX_ASSIGN_OR_RETURN(connection_->owned, Connect(std::move(options)));
  }
  connection_->client = connection_->owned.get();
  return connection_->client;
}

void Context::Answer(const google::protobuf::Message& message, absl::FunctionRef<void()> human) {
  if (json_) {
    out_.JsonLine(ToJson(message));
  } else {
    human();
  }
}

Progress Context::MakeProgress(std::string label, int64_t total, std::string unit) {
  return Progress(*environment_.err, environment_.err_is_terminal, quiet_ || json_,
                  std::move(label), total, std::move(unit));
}

absl::StatusOr<std::string> Context::ReadInput(const std::string& path) {
  if (path != "-") return ReadFile(path, path);
  return std::string(std::istreambuf_iterator<char>(*environment_.in), {});
}

}  // namespace cookix::cli
