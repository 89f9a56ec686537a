#include "storage/checked_file.h"

#include "storage/base/status.h"

namespace cookix::storage {

absl::Status CheckedFileWriter::AppendString(std::string_view text) {
  COOKIX_RETURN_IF_ERROR(AppendFixed(static_cast<uint32_t>(text.size())));
  return Append(text);
}

absl::Status CheckedFileReader::ReadString(std::string* text) {
  uint32_t size = 0;
  COOKIX_RETURN_IF_ERROR(ReadFixed(&size));
  if (size > MaxLeft()) {
    return Corruption("a saved file names a text that is longer than the file",
                      "The file is not used, and what it held is built again");
  }
  text->resize(size);
  return Read(text->data(), size);
}

}  // namespace cookix::storage
