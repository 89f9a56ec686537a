// The end of RocksDB's sorted files, which has no checksum of its own.
#ifndef COOKIX_STORAGE_TABLE_FOOTER_H_
#define COOKIX_STORAGE_TABLE_FOOTER_H_

#include <cstdint>
#include <string>

#include "rocksdb/file_system.h"
#include "rocksdb/table.h"

namespace cookix::storage {

// What all sorted files of a store are written with.
inline constexpr uint32_t kTableFormatVersion = 5;
inline constexpr rocksdb::ChecksumType kTableChecksum = rocksdb::kXXH3;

// Corruption when the footer of `file`, of `size` bytes, says that the file is of another format
// or has other checksums. RocksDB would believe it: one bit can switch off the checksums, and
// another has blocks unpacked in a way that ends a process with assertions.
rocksdb::IOStatus CheckTableFooter(const rocksdb::FSRandomAccessFile& file, uint64_t size,
                                   const std::string& name);

}  // namespace cookix::storage

#endif  // COOKIX_STORAGE_TABLE_FOOTER_H_
