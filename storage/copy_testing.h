// Takes copies of stores from one place to another, for tests.
#ifndef COOKIX_STORAGE_COPY_TESTING_H_
#define COOKIX_STORAGE_COPY_TESTING_H_

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "rocksdb/file_system.h"
#include "storage/base/status.h"
#include "storage/copy_receiver.h"
#include "storage/store_copy.h"

namespace cookix::storage {

// A copy that was read from end to end.
struct ReadCopy {
  CopyManifest manifest;
  // As manifest.files.
  std::vector<std::string> contents;
};

inline absl::StatusOr<ReadCopy> ReadAll(StoreCopy& copy, size_t at_once = 10'000) {
  ReadCopy read{copy.manifest(), {}};
  for (size_t i = 0; i < read.manifest.files.size(); ++i) {
    std::string& content = read.contents.emplace_back();
    while (content.size() < read.manifest.files[i].size) {
      std::string piece;
      COOKIX_RETURN_IF_ERROR(copy.Read(i, content.size(), at_once, &piece));
      if (piece.empty()) return absl::DataLossError("the file ends too early");
      content += piece;
    }
  }
  return read;
}

// Sends what is missing of all files.
inline absl::Status Send(const ReadCopy& copy, CopyReceiver& receiver, size_t at_once = 10'000) {
  for (size_t i = 0; i < copy.contents.size(); ++i) {
    const std::string_view content = copy.contents[i];
    while (receiver.Have(i) < content.size()) {
      const uint64_t have = receiver.Have(i);
      COOKIX_RETURN_IF_ERROR(receiver.Append(i, have, content.substr(have, at_once)));
    }
    COOKIX_RETURN_IF_ERROR(receiver.Finish(i));
  }
  return absl::OkStatus();
}

// Receives a copy and puts it in place.
inline absl::Status Receive(const ReadCopy& copy, const std::shared_ptr<rocksdb::FileSystem>& fs,
                            const std::string& path, size_t at_once = 10'000) {
  COOKIX_ASSIGN_OR_RETURN(const std::unique_ptr<CopyReceiver> receiver,
                          CopyReceiver::Open(fs, path, copy.manifest, 0));
  COOKIX_RETURN_IF_ERROR(Send(copy, *receiver, at_once));
  return receiver->Install();
}

}  // namespace cookix::storage

#endif  // COOKIX_STORAGE_COPY_TESTING_H_
