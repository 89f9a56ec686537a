#include "storage/system_records.h"

#include <cstring>
#include <limits>

#include "storage/base/coding.h"

namespace cookix::storage {
namespace {

bool GetTime(std::string_view* in, int64_t* time_ms) {
  uint64_t value = 0;
  if (!GetVarint64(in, &value) ||
      value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
    return false;
  }
  *time_ms = static_cast<int64_t>(value);
  return true;
}

bool GetFlag(std::string_view* in, bool* flag) {
  if (in->empty() || static_cast<uint8_t>(in->front()) > 1) return false;
  *flag = in->front() == 1;
  in->remove_prefix(1);
  return true;
}

}  // namespace

std::string EpochKey(uint64_t epoch) {
  std::string key(kEpochPrefix);
  PutBigEndian64(&key, epoch);
  return key;
}

std::string RequestKey(std::string_view request_id) {
  std::string key(kRequestPrefix);
  key.append(request_id);
  return key;
}

std::string RequestTimeKey(int64_t time_ms, std::string_view request_id) {
  std::string key(kRequestTimePrefix);
  PutBigEndian64(&key, static_cast<uint64_t>(time_ms));
  key.append(request_id);
  return key;
}

bool ParseEpochKey(std::string_view key, uint64_t* epoch) {
  if (!key.starts_with(kEpochPrefix)) return false;
  key.remove_prefix(kEpochPrefix.size());
  return GetBigEndian64(&key, epoch) && key.empty();
}

bool ParseRequestTimeKey(std::string_view key, int64_t* time_ms, std::string_view* request_id) {
  if (!key.starts_with(kRequestTimePrefix)) return false;
  key.remove_prefix(kRequestTimePrefix.size());
  uint64_t time = 0;
  if (!GetBigEndian64(&key, &time) ||
      time > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
    return false;
  }
  *time_ms = static_cast<int64_t>(time);
  *request_id = key;
  return true;
}

std::string Encode(const IdentityRecord& record) {
  std::string bytes;
  PutFixed32(&bytes, record.format_version);
  bytes.append(reinterpret_cast<const char*>(record.id.data()), record.id.size());
  return bytes;
}

std::string Encode(const LastCommitRecord& record) {
  std::string bytes;
  PutVarint64(&bytes, record.commit);
  PutVarint64(&bytes, record.epoch);
  PutVarint64(&bytes, static_cast<uint64_t>(record.time_ms));
  return bytes;
}

std::string Encode(const EpochStart& record) {
  std::string bytes;
  PutVarint64(&bytes, record.first_commit);
  PutVarint64(&bytes, static_cast<uint64_t>(record.time_ms));
  return bytes;
}

std::string Encode(const OpenStateRecord& record) {
  std::string bytes;
  bytes.push_back(record.clean ? 1 : 0);
  bytes.push_back(record.weak ? 1 : 0);
  return bytes;
}

std::string Encode(const RequestRecord& record) {
  std::string bytes;
  PutVarint64(&bytes, record.commit);
  PutVarint64(&bytes, record.epoch);
  PutVarint64(&bytes, static_cast<uint64_t>(record.time_ms));
  PutFixed64(&bytes, record.fingerprint);
  PutLengthPrefixed(&bytes, record.response);
  return bytes;
}

bool Decode(std::string_view bytes, IdentityRecord* record) {
  if (!GetFixed32(&bytes, &record->format_version) || bytes.size() != record->id.size()) {
    return false;
  }
  std::memcpy(record->id.data(), bytes.data(), bytes.size());
  return true;
}

bool Decode(std::string_view bytes, LastCommitRecord* record) {
  return GetVarint64(&bytes, &record->commit) && GetVarint64(&bytes, &record->epoch) &&
         GetTime(&bytes, &record->time_ms) && bytes.empty();
}

bool Decode(std::string_view bytes, EpochStart* record) {
  return GetVarint64(&bytes, &record->first_commit) && GetTime(&bytes, &record->time_ms) &&
         bytes.empty();
}

bool Decode(std::string_view bytes, OpenStateRecord* record) {
  return GetFlag(&bytes, &record->clean) && GetFlag(&bytes, &record->weak) && bytes.empty();
}

bool Decode(std::string_view bytes, RequestRecord* record) {
  std::string_view response;
  if (!GetVarint64(&bytes, &record->commit) || !GetVarint64(&bytes, &record->epoch) ||
      !GetTime(&bytes, &record->time_ms) || !GetFixed64(&bytes, &record->fingerprint) ||
      !GetLengthPrefixed(&bytes, &response) || !bytes.empty()) {
    return false;
  }
  record->response = response;
  return true;
}

}  // namespace cookix::storage
