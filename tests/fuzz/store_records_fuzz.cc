// The store's own file and records.
#include "storage/store_file.h"
#include "storage/system_records.h"
#include "tests/fuzz/fuzz_target.h"

namespace {

namespace storage = cookix::storage;

// What is accepted is what Encode makes.
template <typename Record>
void CheckRecord(std::string_view bytes) {
  Record record;
  if (storage::Decode(bytes, &record)) FUZZ_CHECK(storage::Encode(record) == bytes);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes = cookix::tests::FuzzInput(data, size);
  const auto file = storage::DecodeStoreFile(bytes, 1);
  if (file.ok()) {
    FUZZ_CHECK(storage::EncodeStoreFile(*file) == bytes);
  } else {
    FUZZ_CHECK(file.status().code() == absl::StatusCode::kDataLoss ||
               file.status().code() == absl::StatusCode::kFailedPrecondition);
  }
  CheckRecord<storage::IdentityRecord>(bytes);
  CheckRecord<storage::LastCommitRecord>(bytes);
  CheckRecord<storage::OpenStateRecord>(bytes);
  CheckRecord<storage::RequestRecord>(bytes);
  storage::EpochStart epoch;
  (void)storage::Decode(bytes, &epoch);
  uint64_t number = 0;
  if (storage::ParseEpochKey(bytes, &number)) FUZZ_CHECK(storage::EpochKey(number) == bytes);
  int64_t time_ms = 0;
  std::string_view request_id;
  if (storage::ParseRequestTimeKey(bytes, &time_ms, &request_id)) {
    FUZZ_CHECK(storage::RequestTimeKey(time_ms, request_id) == bytes);
  }
  return 0;
}

std::vector<std::string> cookix::tests::FuzzSeeds() {
  storage::StoreFile file;
  file.format_version = 1;
  file.id[3] = 0xab;
  std::vector<std::string> seeds = {storage::EncodeStoreFile(file)};
  file.copy = true;
  seeds.push_back(storage::EncodeStoreFile(file));
  file.format_version = 9;
  seeds.push_back(storage::EncodeStoreFile(file));
  seeds.push_back(storage::Encode(storage::IdentityRecord{1, file.id}));
  seeds.push_back(storage::Encode(storage::LastCommitRecord{70'000, 2, 1'700'000'000'000}));
  seeds.push_back(storage::Encode(storage::EpochStart{2, 300, 1}));
  seeds.push_back(storage::Encode(storage::OpenStateRecord{true, false}));
  seeds.push_back(storage::Encode(storage::RequestRecord{5, 1, 9, 77, "response"}));
  seeds.push_back(storage::EpochKey(3));
  seeds.push_back(storage::RequestKey("id"));
  seeds.push_back(storage::RequestTimeKey(1'700'000'000'000, "id"));
  return seeds;
}
