#include "server/config.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <exception>
#include <fstream>
#include <iterator>
#include <limits>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "storage/base/status.h"

namespace cookix::server {
namespace {

constexpr int64_t kMaxInt = std::numeric_limits<int64_t>::max();
constexpr int64_t kBillion = 1'000'000'000;
// Megabytes that still fit 64 bits of bytes.
constexpr int64_t kMaxMb = 1LL << 40;
constexpr size_t kMaxFileBytes = 1 << 20;
constexpr std::string_view kEnvironmentPrefix = "COOKIX_";

#define COOKIX_TEXT(member) \
#member, +[](Config & config) -> std::string& { return config.member; }, ""
#define COOKIX_BOOL(member) #member, +[](Config & config) -> bool& { return config.member; }, ""
#define COOKIX_INT(member, unit) \
#member, +[](Config & config) -> int64_t& { return config.member; }, unit
#define COOKIX_LIMIT(member, unit) \
#member, +[](Config & config) -> int64_t& { return config.limits.member; }, unit

const Setting kSettings[] = {
    {"Network", COOKIX_TEXT(listen),
     "Where the server takes calls: host:port, [ipv6]:port, or unix:/path. Port 0 takes a free "
     "one. Beyond loopback it needs keys and TLS."},
    {"Network", COOKIX_TEXT(tls_cert),
     "File with the server's certificate chain, PEM. Set together with tls_key; switches TLS on."},
    {"Network", COOKIX_TEXT(tls_key), "File with the private key of tls_cert, PEM."},
    {"Network", COOKIX_TEXT(tls_client_ca),
     "File with certificates of authorities, PEM. When set, clients must present a certificate "
     "that one of them signed (mTLS)."},
    {"Network", COOKIX_INT(tls_reload_seconds, "s"),
     "How often the TLS files are looked at for changes.", 1, 86'400},
    {"Network", COOKIX_BOOL(allow_plaintext), "Listens beyond loopback without TLS."},
    {"Network", COOKIX_BOOL(insecure),
     "Listens beyond loopback without requiring keys: everyone who reaches the port is "
     "administrator."},
    {"Network", COOKIX_BOOL(reflection),
     "Serves gRPC reflection, which describes the interface. Callers need a key like for any other "
     "call."},
    {"Network", COOKIX_INT(max_message_mb, "MiB"), "Largest request.", 1, 1024},
    {"Network", COOKIX_INT(network_memory_mb, "MiB"),
     "Memory for messages on their way, of all connections together. Connections that would need "
     "more are cut. Several times max_message_mb.",
     32, kMaxMb},
    {"Network", COOKIX_INT(max_concurrent_calls, "calls"),
     "Calls under way at the same time; more are refused with OVERLOADED.", 1, 1'000'000},
    {"Network", COOKIX_INT(max_streams, "streams"),
     "Streaming calls open at the same time; more are refused with OVERLOADED.", 1, 100'000},
    {"Network", COOKIX_INT(max_watches, "watches"),
     "Watches of the change feed open at the same time, each of which has a thread; more are "
     "refused with OVERLOADED.",
     0, 1000},
    {"Network", COOKIX_INT(max_calls_per_connection, "calls"),
     "Calls under way on one connection; more wait at the client.", 1, 1'000'000},
    {"Network", COOKIX_INT(stream_stall_ms, "ms"),
     "A stream whose client takes no message for this long is ended.", 100, 3'600'000},
    {"Network", COOKIX_INT(connection_idle_seconds, "s"),
     "Connections without calls are closed after this long; 0 = never.", 0, 86'400},

    {"Identity", COOKIX_TEXT(auth),
     "Whether calls need an API key. auto: as soon as a key was ever created.", 0, 0,
     "auto|on|off"},
    {"Identity", COOKIX_TEXT(bootstrap_admin_key_file),
     "When the store has no administrator key, one is created at start and its secret written into "
     "this new file, readable by the owner only."},
    {"Identity", COOKIX_INT(requests_per_minute, "calls/min"),
     "Calls a minute of each key that has no rate of its own, and of each address without keys; 0 "
     "= no limit. What replicas ask of their primary does not count.",
     0, kBillion},
    {"Identity", COOKIX_BOOL(allow_anonymous_health),
     "Answers the gRPC health service without a key."},
    {"Identity", COOKIX_BOOL(read_only),
     "Starts in read-only mode: objects, edges and the catalog cannot be changed. Keys still can."},

    {"Store", COOKIX_TEXT(data_dir), "Directory of the store."},
    {"Store", COOKIX_BOOL(create_data_dir),
     "Creates the data directory when it is missing. Off: a missing one is an error."},
    {"Store", COOKIX_BOOL(in_memory), "Keeps everything in memory: gone when the server stops."},
    {"Store", COOKIX_TEXT(checkpoint_dir),
     "Where checkpoints go; empty = \"checkpoints\" beside the data directory."},
    {"Store", COOKIX_TEXT(backup_dir),
     "Directory of this store's backups (`cookix backup`), best on another disk, with nothing else "
     "in it. Empty: backups are refused."},
    {"Store", COOKIX_INT(archive_seconds, "s"),
     "Archives the log into backup_dir so often, so that after the loss of the machine no more "
     "than "
     "that is missing; 0 = only when asked to (`cookix backup archive`).",
     0, 86'400},
    {"Store", COOKIX_TEXT(sync_mode),
     "When an acknowledged write is on disk. full: before it is acknowledged. normal: within "
     "normal_sync_interval_ms; a crash of the machine may lose the last writes. off: whenever the "
     "operating system writes.",
     0, 0, "full|normal|off"},
    {"Store", COOKIX_INT(normal_sync_interval_ms, "ms"),
     "Longest time between syncs in sync mode normal.", 1, 3'600'000},
    {"Store", COOKIX_TEXT(compression), "Compression of sorted files.", 0, 0, "lz4|zstd|none"},
    {"Store", COOKIX_INT(zstd_level, ""), "Level of zstd.", 1, 22},
    {"Store", COOKIX_INT(memory_budget_mb, "MiB"),
     "Memory for block cache and memory tables together.", 16, kMaxMb},
    {"Store", COOKIX_INT(background_jobs, "threads"), "Threads for flushes and compactions.", 1,
     256},
    {"Store", COOKIX_INT(log_ring_mb, "MiB"),
     "Recent commits kept in memory for views and replicas.", 1, kMaxMb},
    {"Store", COOKIX_INT(wal_keep_mb, "MiB"),
     "How much of the log is kept on disk for readers that fall behind.", 1, kMaxMb},
    {"Store", COOKIX_INT(wal_keep_seconds, "s"), "How long the log is kept on disk for them.", 1,
     kBillion},
    {"Store", COOKIX_INT(low_disk_mb, "MiB"),
     "Free disk space below which only deletes are taken; 0 = no check.", 0, kMaxMb},
    {"Store", COOKIX_INT(max_commit_mb, "MiB"), "Largest commit.", 1, 1024},
    {"Store", COOKIX_INT(request_id_keep_seconds, "s"), "How long request ids are remembered.", 1,
     kBillion},

    {"Replication", COOKIX_TEXT(replica_of),
     "host:port of the server to follow: this one is then its replica. Empty: this server takes "
     "writes. What an operator changes while it runs (`cookix replication`) holds, restarts "
     "included, until this setting is changed."},
    {"Replication", COOKIX_TEXT(advertise_address),
     "host:port where clients and other servers reach this one. Empty: the address it listens on, "
     "if that is one address."},
    {"Replication", COOKIX_TEXT(replica_name),
     "The name under which its status is shown by the server that it follows. Empty: the host's "
     "name and the data directory."},
    {"Replication", COOKIX_TEXT(replication_key_file),
     "File whose first line is the key that other servers of the store are shown; it has the role "
     "replica on all namespaces. Empty: none."},
    {"Replication", COOKIX_TEXT(replication_tls_ca),
     "Speaks TLS with other servers, whose certificates are signed by an authority in this PEM "
     "file, or by one of the system's with \"system\". Empty: no TLS."},
    {"Replication", COOKIX_TEXT(replication_tls_cert),
     "Certificate chain in PEM that other servers are shown (mTLS)."},
    {"Replication", COOKIX_TEXT(replication_tls_key), "Its private key in PEM."},
    {"Replication", COOKIX_TEXT(replication_tls_name),
     "Name expected in other servers' certificates. Empty: the host of their address."},
    {"Replication", COOKIX_INT(sync_replicas, "replicas"),
     "A write is acknowledged when it is durable here and on so many replicas, which "
     "have sync_mode=full as this server does; 0 = at once.",
     0, 1000},
    {"Replication", COOKIX_INT(sync_timeout_ms, "ms"),
     "A write that is not on sync_replicas replicas after so long is answered with "
     "NOT_REPLICATED: it is durable here and readers see it, and it may be lost with this machine. "
     "Repeated with the same request id it waits again.",
     1, 3'600'000},
    {"Replication", COOKIX_TEXT(etcd_endpoints),
     "host:port of etcd's members, with commas between them: the servers of the store elect their "
     "primary there, and another one when it is lost. Empty: an operator says who is primary. "
     "Needs sync_mode=full, and advertise_address where the server listens on all addresses."},
    {"Replication", COOKIX_TEXT(etcd_prefix),
     "Of the keys in etcd; one for each store, the same on all of its servers."},
    {"Replication", COOKIX_TEXT(etcd_tls_ca),
     "Speaks TLS with etcd, whose certificates are signed by an authority in this PEM file, or by "
     "one of the system's with \"system\". Empty: no TLS."},
    {"Replication", COOKIX_TEXT(etcd_tls_cert), "Certificate chain in PEM that etcd is shown."},
    {"Replication", COOKIX_TEXT(etcd_tls_key), "Its private key in PEM."},
    {"Replication", COOKIX_TEXT(etcd_user), "User of etcd; needs etcd_tls_ca. Empty: none."},
    {"Replication", COOKIX_TEXT(etcd_password_file),
     "File whose first line is that user's password."},
    {"Replication", COOKIX_BOOL(found_cluster),
     "This server, with the store that it has or a new one, is the first primary when etcd knows "
     "of none. Set it on one server."},
    {"Replication", COOKIX_INT(lease_seconds, "s"),
     "How long the primary's lease lasts: another one leads at the earliest so long after the last "
     "sign of life of the one before. etcd may make it longer.",
     2, 600},
    {"Replication", COOKIX_INT(lease_margin_ms, "ms"),
     "So long before the end of its lease the primary takes and acknowledges no more writes. More "
     "than clocks can run apart during a lease, and less than two thirds of it.",
     100, 400'000},
    {"Replication", COOKIX_INT(failover_max_lag, "commits"),
     "With sync_replicas=0: a replica that lacks more than so many commits may not become primary, "
     "and no more than these are lost when the primary is. With more, only one that lacks at most "
     "half of them is waited for anew.",
     1, kBillion},
    {"Replication", COOKIX_INT(max_replicas, "replicas"),
     "Replicas that may follow this server at the same time.", 0, 1000},
    {"Replication", COOKIX_INT(replica_window_mb, "MiB"),
     "Log that a replica may have been sent before it says that it is durable there.", 1, kMaxMb},
    {"Replication", COOKIX_INT(replica_stall_seconds, "s"),
     "A replica whose window is full for so long without progress is dropped; it connects again.",
     1, 86'400},
    {"Replication", COOKIX_INT(copy_mb_per_second, "MiB/s"),
     "How fast copies of the store are sent to new replicas, all together; 0 = no limit.", 0,
     kMaxMb},

    {"Views", COOKIX_INT(adjacency_mb, "MiB"),
     "Memory of the adjacency view, which makes traversals fast; 0 switches it off. What does not "
     "fit is read from the store.",
     0, kMaxMb},
    {"Views", COOKIX_INT(names_mb, "MiB"),
     "Memory for the keys of objects, with which answers name them; 0 switches it off. Others are "
     "read from the store.",
     0, kMaxMb},
    {"Views", COOKIX_INT(vectors_mb, "MiB"),
     "Memory of all vector indexes together, beyond which vectors are refused; 0 switches them "
     "off. Searches then read every vector from the store.",
     0, kMaxMb},
    {"Views", COOKIX_INT(cells_mb, "MiB"),
     "Memory of CELLS indexes, whose vectors lie on disk: half for their database, half for the "
     "centroids of each field.",
     16, kMaxMb},
    {"Views", COOKIX_INT(vector_tail, "vectors"),
     "How many vectors may wait to be linked into their indexes before writes wait. Searches "
     "compare with each of them.",
     1, kBillion},
    {"Views", COOKIX_INT(vector_bulk_tail, "vectors"), "The same for writes of a bulk load.", 1,
     kBillion},
    {"Views", COOKIX_INT(vector_threads, "threads"),
     "Threads that link vectors into their indexes; 0 is one for each processor.", 0, 1024},
    {"Views", COOKIX_INT(text_mb, "MiB"),
     "Memory of all text indexes together, beyond which texts are refused; 0 switches them off. "
     "Searches by words then read every text from the store.",
     0, kMaxMb},
    {"Views", COOKIX_INT(text_threads, "threads"),
     "Threads that put texts into segments of their indexes and merge them; 0 is one for each "
     "processor.",
     0, 1024},
    {"Views", COOKIX_INT(view_checkpoint_mb, "MiB"),
     "Bytes of changes after which a view that saves itself is saved again; 0 saves none.", 0,
     kMaxMb},
    {"Views", COOKIX_INT(view_checkpoint_seconds, "s"),
     "Time after which it is saved again when anything changed.", 1, kBillion},
    {"Views", COOKIX_BOOL(field_index),
     "Keeps the field index, which makes filters fast. Off: filters read objects."},
    {"Views", COOKIX_INT(view_max_lag_commits, "commits"),
     "How far a view may fall behind before writes wait for it.", 1, kBillion},
    {"Views", COOKIX_INT(view_max_lag_mb, "MiB"), "The same in bytes of changes.", 1, kMaxMb},

    {"Threads", COOKIX_INT(network_threads, "threads"), "Threads that poll the network.", 1, 256},
    {"Threads", COOKIX_INT(executor_threads, "threads"),
     "Threads for calls that compute or wait for the disk.", 1, 1024},
    {"Threads", COOKIX_INT(executor_queue, "calls"),
     "Calls that may wait for such a thread; more are refused with OVERLOADED.", 1, 1'000'000},
    {"Threads", COOKIX_INT(stream_threads, "threads"),
     "Threads for streams, each busy for as long as its stream has work.", 1, 1024},

    {"Limits", COOKIX_LIMIT(max_key_bytes, "bytes"), "Longest key of an object.", 1, 65'536},
    {"Limits", COOKIX_LIMIT(max_content_bytes, "bytes"), "Longest content of an object.", 1,
     1 << 30},
    {"Limits", COOKIX_LIMIT(max_properties_bytes, "bytes"),
     "Encoded properties of one object or edge.", 1, 1 << 30},
    {"Limits", COOKIX_LIMIT(max_labels, ""), "Labels of one object.", 1, 65'536},
    {"Limits", COOKIX_LIMIT(max_name_bytes, "bytes"),
     "Longest name of a relation, property or label.", 1, 65'536},
    {"Limits", COOKIX_LIMIT(max_batch_objects, ""), "Objects or mutations of one write.", 1,
     kBillion},
    {"Limits", COOKIX_LIMIT(max_batch_edges, ""), "Edges of one write.", 1, kBillion},
    {"Limits", COOKIX_LIMIT(max_page_size, ""), "Entries of one page.", 1, 1'000'000},
    {"Limits", COOKIX_LIMIT(max_filter_nodes, ""), "Nodes of a filter.", 1, 1'000'000},
    {"Limits", COOKIX_LIMIT(max_filter_depth, ""), "Depth of a filter.", 1, 96},
    {"Limits", COOKIX_LIMIT(max_membership_values, ""), "Values of one membership test.", 1,
     kBillion},
    {"Limits", COOKIX_LIMIT(max_traversal_depth, "hops"), "Greatest depth of a traversal.", 1,
     1'000'000},
    {"Limits", COOKIX_LIMIT(max_traversal_results, ""), "Objects that one traversal returns.", 1,
     kBillion},
    {"Limits", COOKIX_LIMIT(max_query_hops, "hops"), "Most hops of a query.", 1, 1'000'000},
    {"Limits", COOKIX_LIMIT(max_chain_length, ""), "Relations in a chain.", 1, 1024},
    {"Limits", COOKIX_LIMIT(max_query_results, ""), "Answers of one query.", 1, kBillion},
    {"Limits", COOKIX_LIMIT(max_search_limit, ""), "Hits or groups of one search by vector.", 1,
     1'000'000},
    {"Limits", COOKIX_LIMIT(max_group_limit, ""), "Hits of one group of a search.", 1, 1'000'000},
    {"Limits", COOKIX_LIMIT(max_search_hits, ""),
     "Hits of one call: of all searches of a batch, and of all groups of a search.", 1, kBillion},
    {"Limits", COOKIX_LIMIT(max_search_bytes, "bytes"),
     "Objects, snippets, paths and edges that one search, query or walk returns.", 1, 1LL << 31},
    {"Limits", COOKIX_LIMIT(max_group_candidates, ""),
     "Candidates that a search with groups looks at before it gives up on full groups.", 1,
     kBillion},
    {"Limits", COOKIX_LIMIT(max_batch_searches, ""), "Searches of one batch.", 1, 1'000'000},
    {"Limits", COOKIX_LIMIT(max_ef, ""), "Candidates that a search of a graph may keep.", 1,
     1'000'000},
    {"Limits", COOKIX_LIMIT(max_cells_probed, ""), "Cells that a search may ask for.", 1,
     1'000'000},
    {"Limits", COOKIX_LIMIT(max_anchors, ""), "Anchors of a query that a search finds.", 1, 10'000},
    {"Limits", COOKIX_LIMIT(max_edges_examined, "edges"), "Edges that one query may look at.", 1,
     kMaxInt},
    {"Limits", COOKIX_LIMIT(max_query_ms, "ms"),
     "Longest time of a call, when its caller allows more. Streams, copies and maintenance have "
     "the caller's own deadline only.",
     1, 86'400'000},
    {"Limits", COOKIX_LIMIT(max_relations, ""), "Relations of a namespace.", 1, (1 << 20) - 1},
    {"Limits", COOKIX_LIMIT(max_collections, ""), "Collections of a namespace.", 1, kBillion},
    {"Limits", COOKIX_LIMIT(max_namespaces, ""), "Namespaces.", 1, kBillion},
    {"Limits", COOKIX_LIMIT(max_edges_deleted_inline, "edges"),
     "Edges of one object that a deletion removes in its own commit; more are hidden at once and "
     "removed in the background.",
     0, 1'000'000},
    {"Limits", COOKIX_LIMIT(cursor_keep_ms, "ms"),
     "How long the state that a paged scan reads is kept after its last page.", 0, 86'400'000},
    {"Limits", COOKIX_LIMIT(max_cursors, ""), "Paged scans under way at the same time.", 1,
     1'000'000},
    {"Limits", COOKIX_LIMIT(default_wait_ms, "ms"),
     "How long reads and writes wait for positions and views by default.", 0, 3'600'000},
    {"Limits", COOKIX_LIMIT(max_wait_ms, "ms"), "The longest such wait.", 0, 3'600'000},

    {"Operation", COOKIX_TEXT(metrics_listen),
     "Where Prometheus metrics are served (/metrics), host:port; empty = nowhere. Beyond loopback "
     "it needs metrics_password_file or allow_anonymous_metrics."},
    {"Operation", COOKIX_TEXT(metrics_password_file),
     "File with the password of user \"metrics\" for HTTP basic authentication of metrics."},
    {"Operation", COOKIX_BOOL(allow_anonymous_metrics),
     "Serves metrics beyond loopback without a password."},
    {"Operation", COOKIX_TEXT(log_level),
     "Least level that is logged. debug has every call, info failed and slow ones.", 0, 0,
     "debug|info|warning|error|off"},
    {"Operation", COOKIX_TEXT(log_file),
     "File that the log is appended to; empty = standard error."},
    {"Operation", COOKIX_INT(slow_call_ms, "ms"),
     "Calls that take longer are logged at level info.", 0, 86'400'000},
    {"Operation", COOKIX_INT(shutdown_grace_ms, "ms"),
     "How long calls under way may go on after SIGTERM before they are cancelled.", 0, 3'600'000},
    {"Operation", COOKIX_TEXT(port_file),
     "File that the port in use is written to once the server takes calls, as a line."},
    {"Operation", COOKIX_TEXT(pid_file), "File that the process id is written to, as a line."},
};

#undef COOKIX_TEXT
#undef COOKIX_BOOL
#undef COOKIX_INT
#undef COOKIX_LIMIT

const Setting* FindSetting(std::string_view name) {
  for (const Setting& setting : kSettings) {
    if (setting.name == name) return &setting;
  }
  return nullptr;
}

size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t substituted = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, substituted});
    }
  }
  return row[b.size()];
}

struct Nearest {
  std::string_view name;
  size_t distance = 0;
};

Nearest NearestSetting(std::string_view name) {
  name = name.substr(0, 64);
  Nearest nearest{"", std::string_view::npos};
  for (const Setting& setting : kSettings) {
    const size_t distance = EditDistance(name, setting.name);
    if (distance < nearest.distance) nearest = {setting.name, distance};
  }
  return nearest;
}

absl::Status UnknownSetting(std::string_view name, std::string_view source) {
  return InvalidField(
      name,
      absl::StrCat(ToAbsl(source), ": unknown setting \"", ToAbsl(name), "\"; the nearest is \"",
                   ToAbsl(NearestSetting(name).name), "\""),
      "cookixd --help lists all settings.");
}

absl::Status BadValue(const Setting& setting, std::string_view value, std::string_view source,
                      std::string_view expected) {
  return InvalidField(setting.name,
                      absl::StrCat(ToAbsl(source), ": \"", ToAbsl(value), "\" is no value for ",
                                   ToAbsl(setting.name), "; expected ", ToAbsl(expected)),
                      "cookixd --help lists all settings.");
}

bool ParseBool(std::string_view text, bool* value) {
  for (const std::string_view word : {"true", "yes", "on", "1"}) {
    if (text == word) return *value = true;
  }
  for (const std::string_view word : {"false", "no", "off", "0"}) {
    if (text == word) {
      *value = false;
      return true;
    }
  }
  return false;
}

bool IsChoice(std::string_view choices, std::string_view value) {
  while (!choices.empty()) {
    const size_t end = std::min(choices.find('|'), choices.size());
    if (choices.substr(0, end) == value) return true;
    choices.remove_prefix(std::min(end + 1, choices.size()));
  }
  return false;
}

absl::Status Assign(const Setting& setting, std::string_view value, std::string_view source,
                    Config* config) {
  if (const auto* text = std::get_if<std::string& (*)(Config&)>(&setting.value)) {
    if (!setting.choices.empty() && !IsChoice(setting.choices, value)) {
      return BadValue(setting, value, source, absl::StrCat("one of ", ToAbsl(setting.choices)));
    }
    if (value.find('\0') != std::string_view::npos || value.find('\n') != std::string_view::npos) {
      return BadValue(setting, "(text with a line break)", source, "one line of text");
    }
    (*text)(*config) = std::string(value);
    return absl::OkStatus();
  }
  if (const auto* truth = std::get_if<bool& (*)(Config&)>(&setting.value)) {
    if (!ParseBool(value, &(*truth)(*config))) {
      return BadValue(setting, value, source, "true or false");
    }
    return absl::OkStatus();
  }
  int64_t number = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (error != std::errc() || end != value.data() + value.size() || number < setting.least ||
      number > setting.greatest) {
    return BadValue(setting, value, source,
                    absl::StrCat("a whole number from ", setting.least, " to ", setting.greatest));
  }
  std::get<int64_t& (*)(Config&)>(setting.value)(*config) = number;
  return absl::OkStatus();
}

bool IsBool(const Setting& setting) {
  return std::holds_alternative<bool& (*)(Config&)>(setting.value);
}

std::string EnvironmentName(std::string_view name) {
  std::string upper(kEnvironmentPrefix);
  for (const char c : name) upper.push_back(static_cast<char>(c >= 'a' && c <= 'z' ? c - 32 : c));
  return upper;
}

std::string TypeText(const Setting& setting) {
  if (IsBool(setting)) return "true or false";
  if (!setting.choices.empty()) {
    std::string text;
    for (const char c : setting.choices) {
      if (c == '|') {
        text.append(", ");
      } else {
        text.push_back(c);
      }
    }
    return text;
  }
  if (std::holds_alternative<int64_t& (*)(Config&)>(setting.value)) {
    return absl::StrCat(
        setting.least, " to ",
        setting.greatest == kMaxInt ? std::string("2^63-1") : absl::StrCat(setting.greatest),
        setting.unit.empty() ? "" : " ", ToAbsl(setting.unit));
  }
  return "text";
}

// Breaks `text` at spaces into lines of at most `width` columns.
std::vector<std::string> Wrap(std::string_view text, size_t width) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    size_t end = text.size();
    if (end > width) {
      end = text.rfind(' ', width);
      if (end == std::string_view::npos) end = std::min(text.find(' '), text.size());
    }
    lines.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

absl::StatusOr<std::string> ReadConfigFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text;
  if (file) {
    std::vector<char> buffer(kMaxFileBytes + 1);
    file.read(buffer.data(), static_cast<std::streamsize>(buffer.size()));
    text.assign(buffer.data(), static_cast<size_t>(file.gcount()));
  }
  if (!file.eof() || text.size() > kMaxFileBytes) {
    return InvalidField(
        "config",
        absl::StrCat("The configuration file ", path, " cannot be read or is larger than 1 MiB"),
        "Name a readable YAML file with --config.");
  }
  return text;
}

// A certificate and its key: `name` with "_cert" and "_key".
absl::Status CheckPair(const std::string& name, const std::string& cert, const std::string& key) {
  if (cert.empty() == key.empty()) return absl::OkStatus();
  return InvalidField(name + (cert.empty() ? "_cert" : "_key"),
                      absl::StrCat(name, "_cert and ", name, "_key are set together or not at all"),
                      "Set both, or neither.");
}

absl::Status ValidateElection(const Config& config) {
  if (!config.replica_of.empty()) {
    return InvalidField("replica_of", "replica_of makes no sense with etcd_endpoints",
                        "Drop replica_of: the servers follow whom they elect.");
  }
  if (config.sync_mode != "full" || config.in_memory) {
    return InvalidField("sync_mode", "etcd_endpoints needs sync_mode=full and a data directory",
                        "What a server could lose others would have to give up.");
  }
  if (config.read_only) {
    return InvalidField("read_only", "read_only makes no sense with etcd_endpoints",
                        "Drop read_only: every server may become the primary.");
  }
  if (3 * config.lease_margin_ms >= 2 * 1000 * config.lease_seconds) {
    return InvalidField("lease_margin_ms", "lease_margin_ms leaves no time to renew the lease",
                        "Make it less than two thirds of lease_seconds.");
  }
  if (!config.etcd_tls_cert.empty() && config.etcd_tls_ca.empty()) {
    return InvalidField("etcd_tls_ca", "etcd_tls_cert needs etcd_tls_ca",
                        "Set all three for mTLS with etcd.");
  }
  return CheckPair("etcd_tls", config.etcd_tls_cert, config.etcd_tls_key);
}

}  // namespace

std::span<const Setting> Settings() { return kSettings; }

std::string ValueText(const Setting& setting, const Config& config) {
  // The accessors take a mutable Config; nothing is changed through them here.
  auto& values = const_cast<Config&>(config);
  if (const auto* text = std::get_if<std::string& (*)(Config&)>(&setting.value)) {
    return (*text)(values);
  }
  if (const auto* truth = std::get_if<bool& (*)(Config&)>(&setting.value)) {
    return (*truth)(values) ? "true" : "false";
  }
  return absl::StrCat(std::get<int64_t& (*)(Config&)>(setting.value)(values));
}

absl::Status ApplyYaml(std::string_view text, std::string_view source, Config* config) {
  std::vector<std::pair<std::string, std::string>> entries;
  try {
    const YAML::Node root = YAML::Load(std::string(text));
    if (!root.IsNull() && !root.IsMap()) {
      return InvalidField("config",
                          absl::StrCat(ToAbsl(source), ": expected lines of the form name: value"),
                          "See deploy/config/cookix.yaml.");
    }
    if (root.IsMap()) {
      for (const auto& entry : root) {
        if (!entry.first.IsScalar()) {
          return InvalidField("config", absl::StrCat(ToAbsl(source), ": a name is not plain text"),
                              "See deploy/config/cookix.yaml.");
        }
        const std::string name = entry.first.as<std::string>();
        if (FindSetting(name) == nullptr) return UnknownSetting(name, source);
        if (!entry.second.IsScalar() && !entry.second.IsNull()) {
          return InvalidField(name,
                              absl::StrCat(ToAbsl(source), ": ", name,
                                           " must be a single value, not a list or a map"),
                              "See deploy/config/cookix.yaml.");
        }
        entries.emplace_back(name, entry.second.IsNull() ? "" : entry.second.as<std::string>());
      }
    }
  } catch (const std::exception& error) {
    return InvalidField("config", absl::StrCat(ToAbsl(source), ": ", error.what()),
                        "See deploy/config/cookix.yaml.");
  }
  std::set<std::string> seen;
  for (const auto& [name, value] : entries) {
    if (!seen.insert(name).second) {
      return InvalidField(name, absl::StrCat(ToAbsl(source), ": ", name, " is set twice"),
                          "Keep one of them.");
    }
    COOKIX_RETURN_IF_ERROR(Assign(*FindSetting(name), value, source, config));
  }
  return absl::OkStatus();
}

absl::StatusOr<ParsedConfig> ParseConfig(const std::vector<std::string>& arguments,
                                         const std::map<std::string, std::string>& environment) {
  ParsedConfig parsed;
  struct Flag {
    const Setting* setting;
    std::string value;
  };
  std::vector<Flag> flags;
  std::optional<std::string> file;
  if (const auto it = environment.find("COOKIX_CONFIG"); it != environment.end()) {
    if (!it->second.empty()) file = it->second;
  }

  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    if (argument == "-h" || argument == "--help") {
      parsed.help = true;
      continue;
    }
    if (argument.size() < 3 || argument.compare(0, 2, "--") != 0) {
      return InvalidField("", absl::StrCat("Unexpected argument \"", argument, "\""),
                          "Settings are given as --name=value; cookixd --help lists them.");
    }
    const size_t equals = argument.find('=');
    std::string name = argument.substr(2, equals == std::string::npos ? equals : equals - 2);
    std::replace(name.begin(), name.end(), '-', '_');
    std::optional<std::string> value;
    if (equals != std::string::npos) value = argument.substr(equals + 1);
    if (name == "version" && !value.has_value()) {
      parsed.version = true;
      continue;
    }
    if (name == "check_config" && !value.has_value()) {
      parsed.check = true;
      continue;
    }
    if (name == "print_config_reference" && !value.has_value()) {
      parsed.print_reference = true;
      continue;
    }
    const Setting* setting = FindSetting(name);
    if (setting == nullptr && name != "config") return UnknownSetting(name, "command line");
    if (!value.has_value()) {
      if (setting != nullptr && IsBool(*setting)) {
        bool ignored;
        const bool next_is_value =
            i + 1 < arguments.size() && ParseBool(arguments[i + 1], &ignored);
        value = next_is_value ? arguments[++i] : "true";
      } else if (i + 1 < arguments.size()) {
        value = arguments[++i];
      } else {
        return InvalidField(name, absl::StrCat("The flag --", name, " needs a value"),
                            "Write --name=value.");
      }
    }
    if (setting == nullptr) {
      file = *value;
    } else {
      flags.push_back({setting, *std::move(value)});
    }
  }

  if (file.has_value()) {
    COOKIX_ASSIGN_OR_RETURN(const std::string text, ReadConfigFile(*file));
    COOKIX_RETURN_IF_ERROR(ApplyYaml(text, *file, &parsed.config));
  }
  for (const auto& [name, value] : environment) {
    if (name.compare(0, kEnvironmentPrefix.size(), kEnvironmentPrefix) != 0) continue;
    if (name == "COOKIX_CONFIG") continue;
    std::string setting_name = name.substr(kEnvironmentPrefix.size());
    for (char& c : setting_name) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
    const Setting* setting = FindSetting(setting_name);
    if (setting != nullptr && name == EnvironmentName(setting->name)) {
      COOKIX_RETURN_IF_ERROR(
          Assign(*setting, value, absl::StrCat("environment ", name), &parsed.config));
      continue;
    }
    // Other programs have variables with this prefix too, and Kubernetes makes
    // some; what is nearly a setting is a mistake.
    if (NearestSetting(setting_name).distance <= 2) {
      return UnknownSetting(setting_name, absl::StrCat("environment ", name));
    }
    parsed.ignored_environment.push_back(name);
  }
  for (const Flag& flag : flags) {
    COOKIX_RETURN_IF_ERROR(Assign(*flag.setting, flag.value, "command line", &parsed.config));
  }
  return parsed;
}

absl::Status ValidateConfig(const Config& config) {
  COOKIX_RETURN_IF_ERROR(CheckPair("tls", config.tls_cert, config.tls_key));
  if (!config.tls_client_ca.empty() && config.tls_cert.empty()) {
    return InvalidField("tls_client_ca", "tls_client_ca needs tls_cert and tls_key",
                        "Set all three for mTLS.");
  }
  if (config.listen.empty()) {
    return InvalidField("listen", "listen is empty", "Write host:port, such as 127.0.0.1:7625.");
  }
  if (!config.in_memory && config.data_dir.empty()) {
    return InvalidField("data_dir", "data_dir is empty",
                        "Name a directory, or set in_memory to keep nothing.");
  }
  if (config.archive_seconds > 0 && config.backup_dir.empty()) {
    return InvalidField("archive_seconds", "archive_seconds needs backup_dir",
                        "Name a directory for backups; the log is archived beside them.");
  }
  if (config.auth == "off" && !config.bootstrap_admin_key_file.empty()) {
    return InvalidField("bootstrap_admin_key_file",
                        "bootstrap_admin_key_file makes no sense with auth=off",
                        "Drop one of the two.");
  }
  COOKIX_RETURN_IF_ERROR(
      CheckPair("replication_tls", config.replication_tls_cert, config.replication_tls_key));
  if (!config.replication_tls_cert.empty() && config.replication_tls_ca.empty()) {
    return InvalidField("replication_tls_ca", "replication_tls_cert needs replication_tls_ca",
                        "Set all three for mTLS with other servers.");
  }
  if (config.sync_replicas > 0 && config.sync_mode != "full") {
    return InvalidField("sync_mode", "sync_replicas needs sync_mode=full",
                        "What replicas have and this server could lose they would have to give "
                        "up.");
  }
  if (!config.etcd_endpoints.empty()) COOKIX_RETURN_IF_ERROR(ValidateElection(config));
  if (config.sync_replicas > config.max_replicas) {
    return InvalidField("sync_replicas", "sync_replicas is above max_replicas",
                        "Raise max_replicas or lower sync_replicas.");
  }
  if (config.network_memory_mb < 4 * config.max_message_mb) {
    return InvalidField("network_memory_mb",
                        "network_memory_mb is less than four times max_message_mb",
                        "Raise network_memory_mb or lower max_message_mb.");
  }
  if (config.limits.default_wait_ms > config.limits.max_wait_ms) {
    return InvalidField("default_wait_ms", "default_wait_ms is above max_wait_ms",
                        "Raise max_wait_ms or lower default_wait_ms.");
  }
  return absl::OkStatus();
}

std::string HelpText() {
  std::string text =
      "cookixd: the CookiX database server\n\n"
      "Usage: cookixd [--name=value ...]\n\n"
      "Every setting can also be given in the environment as COOKIX_NAME, or in the YAML\n"
      "file that --config (or COOKIX_CONFIG) names. Flags win over the environment, the\n"
      "environment over the file.\n\n"
      "  --config=FILE             read settings from a YAML file\n"
      "  --version                 print the version\n"
      "  --check-config            check the settings, start nothing\n"
      "  --print-config-reference  print this table as Markdown\n"
      "  --help                    print this\n";
  const Config defaults;
  std::string_view group;
  for (const Setting& setting : kSettings) {
    if (setting.group != group) {
      group = setting.group;
      absl::StrAppend(&text, "\n", ToAbsl(group), "\n");
    }
    const std::string value = ValueText(setting, defaults);
    absl::StrAppend(&text, "  --", ToAbsl(setting.name), "=", value.empty() ? "\"\"" : value, "  (",
                    TypeText(setting), ")\n");
    for (const std::string& line : Wrap(setting.help, 78)) {
      absl::StrAppend(&text, "      ", line, "\n");
    }
  }
  return text;
}

std::string ReferenceMarkdown() {
  std::string text;
  const Config defaults;
  std::string_view group;
  for (const Setting& setting : kSettings) {
    if (setting.group != group) {
      group = setting.group;
      absl::StrAppend(&text, text.empty() ? "" : "\n", "## ", ToAbsl(group),
                      "\n\n| Setting | Default | Values | Meaning |\n|---|---|---|---|\n");
    }
    const std::string value = ValueText(setting, defaults);
    absl::StrAppend(&text, "| `", ToAbsl(setting.name), "` | ",
                    value.empty() ? std::string("empty") : absl::StrCat("`", value, "`"), " | ",
                    TypeText(setting), " | ", ToAbsl(setting.help), " |\n");
  }
  return text;
}

std::string SampleYaml() {
  std::string text =
      "# Settings of cookixd, each at its default. Start it with --config=THIS-FILE.\n"
      "# Unknown names are refused. Flags and COOKIX_NAME in the environment win.\n";
  const Config defaults;
  std::string_view group;
  for (const Setting& setting : kSettings) {
    if (setting.group != group) {
      group = setting.group;
      absl::StrAppend(&text, "\n# --- ", ToAbsl(group), " ---\n");
    }
    text.push_back('\n');
    for (const std::string& line : Wrap(setting.help, 88)) absl::StrAppend(&text, "# ", line, "\n");
    absl::StrAppend(&text, "# Values: ", TypeText(setting), ".\n");
    const std::string value = ValueText(setting, defaults);
    const bool quoted = std::holds_alternative<std::string& (*)(Config&)>(setting.value);
    absl::StrAppend(&text, ToAbsl(setting.name), ": ", quoted ? "\"" : "", value,
                    quoted ? "\"" : "", "\n");
  }
  return text;
}

}  // namespace cookix::server
