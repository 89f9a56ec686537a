#include "storage/rocksdb_held_files.h"

#include "storage/rocksdb_status.h"

namespace cookix::storage {

absl::StatusOr<std::unique_ptr<RocksDbHeldFiles>> RocksDbHeldFiles::Hold(rocksdb::DB* db) {
  rocksdb::Status status = db->DisableFileDeletions();
  if (!status.ok()) return FromRocksDb(status, "keeping the files of the store");
  std::unique_ptr<RocksDbHeldFiles> held(new RocksDbHeldFiles(db));
  // What was to be deleted or moved before is not kept; only this waits until it is done.
  rocksdb::VectorLogPtr ignored;
  status = db->GetSortedWalFiles(ignored);
  // A damaged file is kept like others: who reads it says which one it is.
  if (!status.ok() && !status.IsCorruption()) {
    return FromRocksDb(status, "keeping the files of the store");
  }
  return held;
}

RocksDbHeldFiles::~RocksDbHeldFiles() {
  db_->EnableFileDeletions(/*force=*/false).PermitUncheckedError();
}

}  // namespace cookix::storage
