// Whole log files, as a crash, a bad disk or a stranger may leave them.
#include <algorithm>
#include <cstring>
#include <memory>

#include "rocksdb/file_system.h"
#include "storage/base/crc32c.h"
#include "storage/log_header.h"
#include "storage/wal_scanner.h"
#include "tests/fuzz/fuzz_target.h"

namespace {

// A file that is a string.
class StringFile : public rocksdb::FSSequentialFile {
 public:
  explicit StringFile(std::string_view bytes) : bytes_(bytes) {}
  rocksdb::IOStatus Read(size_t n, const rocksdb::IOOptions&, rocksdb::Slice* result, char* scratch,
                         rocksdb::IODebugContext*) override {
    const size_t size = std::min(n, bytes_.size() - at_);
    std::memcpy(scratch, bytes_.data() + at_, size);
    at_ += size;
    *result = rocksdb::Slice(scratch, size);
    return rocksdb::IOStatus::OK();
  }
  rocksdb::IOStatus Skip(uint64_t n) override {
    at_ = std::min<size_t>(bytes_.size(), at_ + n);
    return rocksdb::IOStatus::OK();
  }

 private:
  const std::string_view bytes_;
  size_t at_ = 0;
};

// One whole fragment in RocksDB's layout: masked checksum, length, type, payload.
std::string Fragment(uint8_t type, std::string_view payload) {
  std::string covered(1, static_cast<char>(type));
  covered.append(payload);
  const uint32_t crc = cookix::MaskCrc32c(cookix::Crc32c(covered));
  std::string out;
  for (int i = 0; i < 4; ++i) out.push_back(static_cast<char>(crc >> (8 * i)));
  out.push_back(static_cast<char>(payload.size()));
  out.push_back(static_cast<char>(payload.size() >> 8));
  return out + covered;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes = cookix::tests::FuzzInput(data, size);
  cookix::storage::WalFileReader reader(std::make_unique<StringFile>(bytes), 7);
  uint64_t last_offset = 0;
  for (size_t events = 0;; ++events) {
    // Every event uses up at least a byte of the file.
    FUZZ_CHECK(events <= size + 1);
    const auto event = reader.Next();
    FUZZ_CHECK(event.ok());
    if (*event == cookix::storage::WalFileReader::Event::kEnd) break;
    FUZZ_CHECK(reader.offset() >= last_offset && reader.offset() <= size);
    last_offset = reader.offset();
    if (*event == cookix::storage::WalFileReader::Event::kRecord) {
      cookix::storage::LogRecord record;
      (void)cookix::storage::DecodeLogRecord(reader.payload(), &record);
    } else {
      FUZZ_CHECK(!reader.detail().empty());
    }
  }
  return 0;
}

std::vector<std::string> cookix::tests::FuzzSeeds() {
  constexpr uint8_t kFull = 1, kFirst = 2, kMiddle = 3, kLast = 4;
  cookix::storage::LogHeader header;
  header.epoch = 1;
  std::string file;
  for (uint64_t commit = 1; commit <= 5; ++commit) {
    header.commit = commit;
    header.change = "some change";
    std::string operations(12, '\0');
    operations[0] = static_cast<char>(commit);
    file += Fragment(kFull, cookix::storage::EncodeLogRecord(header, operations));
  }
  std::vector<std::string> seeds = {file};
  seeds.push_back(Fragment(kFirst, "one") + Fragment(kMiddle, "two") + Fragment(kLast, "three"));
  // A fragment that goes on in the next block of 32 KiB.
  const std::string front(32768 - 7 - 7 - 10, 'a');
  seeds.push_back(Fragment(kFull, front) + Fragment(kFirst, "0123456789") + Fragment(kLast, "end"));
  seeds.push_back(file + std::string(100, '\0') + file);
  return seeds;
}
