// Keys and records of the kSystem family. Persistent: see doc/log_format.md.
#ifndef COOKIX_STORAGE_SYSTEM_RECORDS_H_
#define COOKIX_STORAGE_SYSTEM_RECORDS_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "storage/position.h"

namespace cookix::storage {

// "i": what the store is.
struct IdentityRecord {
  uint32_t format_version = 0;
  StoreId id{};
};

// "c": the last commit. Written last in every record of the log.
struct LastCommitRecord {
  uint64_t commit = 0;
  uint64_t epoch = 0;
  int64_t time_ms = 0;
};

// "o": how the store was last opened or closed.
struct OpenStateRecord {
  // Closed in order; everything was synced before.
  bool clean = false;
  // Opened in a mode that acknowledges before it syncs.
  bool weak = false;
};

// "r" + request id: what the request did. Its twin "t" + time + request id, empty,
// finds the oldest.
struct RequestRecord {
  uint64_t commit = 0;
  uint64_t epoch = 0;
  int64_t time_ms = 0;
  uint64_t fingerprint = 0;
  std::string response;
};

inline constexpr std::string_view kIdentityKey = "i";
inline constexpr std::string_view kLastCommitKey = "c";
inline constexpr std::string_view kOpenStateKey = "o";
// + epoch: an EpochStart for each epoch.
inline constexpr std::string_view kEpochPrefix = "e";
inline constexpr std::string_view kRequestPrefix = "r";
inline constexpr std::string_view kRequestTimePrefix = "t";

std::string EpochKey(uint64_t epoch);
std::string RequestKey(std::string_view request_id);
std::string RequestTimeKey(int64_t time_ms, std::string_view request_id);
bool ParseEpochKey(std::string_view key, uint64_t* epoch);
bool ParseRequestTimeKey(std::string_view key, int64_t* time_ms, std::string_view* request_id);

std::string Encode(const IdentityRecord& record);
std::string Encode(const LastCommitRecord& record);
// Without the epoch, which the key has.
std::string Encode(const EpochStart& record);
std::string Encode(const OpenStateRecord& record);
std::string Encode(const RequestRecord& record);

// False for bytes that Encode did not make.
bool Decode(std::string_view bytes, IdentityRecord* record);
bool Decode(std::string_view bytes, LastCommitRecord* record);
bool Decode(std::string_view bytes, EpochStart* record);
bool Decode(std::string_view bytes, OpenStateRecord* record);
bool Decode(std::string_view bytes, RequestRecord* record);

}  // namespace cookix::storage

#endif  // COOKIX_STORAGE_SYSTEM_RECORDS_H_
