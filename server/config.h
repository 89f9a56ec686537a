// The daemon's settings: one table, three ways to set each.
//
// A setting `name` is given as a flag (--name=value, --name value), in the
// environment (COOKIX_NAME) or in the YAML file that --config names (name:
// value). Flags win over the environment, the environment over the file, the file
// over the default. Unknown names are refused.
#ifndef COOKIX_SERVER_CONFIG_H_
#define COOKIX_SERVER_CONFIG_H_

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/limits.h"

namespace cookix::server {

// The values. What each means is in Settings().
struct Config {
  // Network.
  std::string listen = "127.0.0.1:7625";
  std::string tls_cert;
  std::string tls_key;
  std::string tls_client_ca;
  int64_t tls_reload_seconds = 10;
  bool allow_plaintext = false;
  bool insecure = false;
  bool reflection = false;
  int64_t max_message_mb = 16;
  int64_t network_memory_mb = 256;
  int64_t max_concurrent_calls = 4096;
  int64_t max_streams = 256;
  int64_t max_watches = 64;
  int64_t max_calls_per_connection = 1024;
  int64_t stream_stall_ms = 30'000;
  int64_t connection_idle_seconds = 0;

  // Identity.
  std::string auth = "auto";
  std::string bootstrap_admin_key_file;
  int64_t requests_per_minute = 0;
  bool allow_anonymous_health = false;
  bool read_only = false;

  // Store.
  std::string data_dir = "cookix-data";
  bool create_data_dir = true;
  bool in_memory = false;
  std::string checkpoint_dir;
  std::string backup_dir;
  int64_t archive_seconds = 0;
  std::string sync_mode = "full";
  int64_t normal_sync_interval_ms = 1000;
  std::string compression = "lz4";
  int64_t zstd_level = 3;
  int64_t memory_budget_mb = 512;
  int64_t background_jobs = 2;
  int64_t log_ring_mb = 32;
  int64_t wal_keep_mb = 1024;
  int64_t wal_keep_seconds = 3600;
  int64_t low_disk_mb = 256;
  int64_t max_commit_mb = 64;
  int64_t request_id_keep_seconds = 24 * 3600;

  // Replication.
  std::string replica_of;
  std::string advertise_address;
  std::string replica_name;
  std::string replication_key_file;
  std::string replication_tls_ca;
  std::string replication_tls_cert;
  std::string replication_tls_key;
  std::string replication_tls_name;
  int64_t sync_replicas = 0;
  int64_t sync_timeout_ms = 10'000;
  std::string etcd_endpoints;
  std::string etcd_prefix = "/cookix/default";
  std::string etcd_tls_ca;
  std::string etcd_tls_cert;
  std::string etcd_tls_key;
  std::string etcd_user;
  std::string etcd_password_file;
  bool found_cluster = false;
  int64_t lease_seconds = 5;
  int64_t lease_margin_ms = 1'000;
  int64_t failover_max_lag = 1'000;
  int64_t max_replicas = 16;
  int64_t replica_window_mb = 64;
  int64_t replica_stall_seconds = 30;
  int64_t copy_mb_per_second = 0;

  // Views.
  int64_t adjacency_mb = 1024;
  int64_t names_mb = 256;
  int64_t vectors_mb = 2048;
  int64_t cells_mb = 64;
  int64_t vector_tail = 20'000;
  int64_t vector_bulk_tail = 2'000'000;
  int64_t vector_threads = 0;
  int64_t text_mb = 1024;
  int64_t text_threads = 0;
  int64_t view_checkpoint_mb = 256;
  int64_t view_checkpoint_seconds = 300;
  bool field_index = true;
  int64_t view_max_lag_commits = 4096;
  int64_t view_max_lag_mb = 64;

  // Threads.
  int64_t network_threads = 2;
  int64_t executor_threads = 16;
  int64_t executor_queue = 1024;
  int64_t stream_threads = 8;

  // Limits of requests.
  engine::Limits limits;

  // Operation.
  std::string metrics_listen = "127.0.0.1:7626";
  std::string metrics_password_file;
  bool allow_anonymous_metrics = false;
  std::string log_level = "info";
  std::string log_file;
  int64_t slow_call_ms = 1000;
  int64_t shutdown_grace_ms = 10'000;
  std::string port_file;
  std::string pid_file;
};

// One row of the table.
struct Setting {
  std::string_view group;
  std::string_view name;
  // Where its value is.
  std::variant<std::string& (*)(Config&), bool& (*)(Config&), int64_t& (*)(Config&)> value;
  // Unit of a number; empty for none.
  std::string_view unit;
  // One or two sentences.
  std::string_view help;
  // Range of a number, inclusive.
  int64_t least = 0;
  int64_t greatest = 0;
  // Allowed texts, separated by "|"; empty = any.
  std::string_view choices;
};

// All settings, in the order of the documentation.
std::span<const Setting> Settings();

// What the command line asked for.
struct ParsedConfig {
  Config config;
  bool help = false;
  bool version = false;
  bool print_reference = false;
  // To look at the settings, and start nothing.
  bool check = false;
  // Variables of the environment that look like settings and are none.
  std::vector<std::string> ignored_environment;
};

// `arguments` without the program's name; `environment` as NAME -> value. Errors
// are INVALID_ARGUMENT and name the setting and where it came from.
absl::StatusOr<ParsedConfig> ParseConfig(const std::vector<std::string>& arguments,
                                         const std::map<std::string, std::string>& environment);

// Applies the YAML text of a file over `config`. `source` names it in errors.
absl::Status ApplyYaml(std::string_view text, std::string_view source, Config* config);

// What does not fit together: INVALID_ARGUMENT naming the setting.
absl::Status ValidateConfig(const Config& config);

// A setting's value, as it would be written.
std::string ValueText(const Setting& setting, const Config& config);

// For --help and for docs/configuration.md.
std::string HelpText();
std::string ReferenceMarkdown();
// deploy/config/cookix.yaml: every setting at its default, explained.
std::string SampleYaml();

}  // namespace cookix::server

#endif  // COOKIX_SERVER_CONFIG_H_
