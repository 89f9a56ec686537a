// Records of the write-ahead log: they come from a disk, and from a primary.
#include "storage/log_header.h"
#include "tests/fuzz/fuzz_target.h"

namespace {

// An empty batch of RocksDB: sequence number and count.
std::string Operations(uint64_t sequence, std::string_view operations = "") {
  std::string batch;
  for (int i = 0; i < 8; ++i) batch.push_back(static_cast<char>(sequence >> (8 * i)));
  batch.append(4, '\0');
  return batch.append(operations);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view batch = cookix::tests::FuzzInput(data, size);
  cookix::storage::LogRecord record;
  if (cookix::storage::DecodeLogRecord(batch, &record) != cookix::storage::LogDecodeResult::kOk) {
    return 0;
  }
  FUZZ_CHECK(batch.size() >= 12);
  FUZZ_CHECK(record.sequence == cookix::storage::BatchSequence(batch));
  FUZZ_CHECK(record.count == cookix::storage::BatchCount(batch));
  if (record.has_header) {
    // The views lie inside what was decoded.
    for (const std::string_view view : {record.header.request_id, record.header.change}) {
      FUZZ_CHECK(view.empty() || (view.data() >= batch.data() &&
                                  view.data() + view.size() <= batch.data() + batch.size()));
    }
  }
  return 0;
}

std::vector<std::string> cookix::tests::FuzzSeeds() {
  cookix::storage::LogHeader header;
  header.epoch = 3;
  header.commit = 70'000;
  header.time_ms = 1'700'000'000'000;
  header.durable_sequence = 12;
  std::vector<std::string> seeds = {Operations(0), Operations(9)};
  seeds.push_back(cookix::storage::EncodeLogRecord(header, Operations(1)));
  header.request_id = "request";
  header.change = "what changed";
  header.kind = cookix::storage::LogKind::kBookkeeping;
  seeds.push_back(cookix::storage::EncodeLogRecord(header, Operations(5)));
  return seeds;
}
