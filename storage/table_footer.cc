#include "storage/table_footer.h"

#include <array>
#include <string_view>

#include "storage/base/coding.h"

namespace cookix::storage {
namespace {

// One byte for the kind of checksums, two places padded to 40 bytes, the version of the format
// and a magic number, which RocksDB checks.
constexpr uint64_t kFooterBytes = 53;
constexpr size_t kVersionOffset = 41;

}  // namespace

rocksdb::IOStatus CheckTableFooter(const rocksdb::FSRandomAccessFile& file, uint64_t size,
                                   const std::string& name) {
  // RocksDB says that it is too short.
  if (size < kFooterBytes) return rocksdb::IOStatus::OK();
  std::array<char, kFooterBytes> scratch;
  rocksdb::Slice footer;
  const rocksdb::IOStatus status =
      file.Read(size - kFooterBytes, kFooterBytes, {}, &footer, scratch.data(), nullptr);
  if (!status.ok() || footer.size() != kFooterBytes) return status;
  std::string_view version_bytes(footer.data() + kVersionOffset, sizeof(uint32_t));
  uint32_t version = 0;
  GetFixed32(&version_bytes, &version);
  if (version == kTableFormatVersion && footer[0] == kTableChecksum) return status;
  return rocksdb::IOStatus::Corruption("the footer is damaged in " + name);
}

}  // namespace cookix::storage
