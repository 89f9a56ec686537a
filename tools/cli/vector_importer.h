// Loads files of vectors through the stream of vectors.
//
// A batch of rows is one atomic write. When the import stops, it says the first
// row that was not acknowledged: starting there again is safe, because each batch
// has a request id made of the import's id, its rows and its content.
#ifndef COOKIX_TOOLS_CLI_VECTOR_IMPORTER_H_
#define COOKIX_TOOLS_CLI_VECTOR_IMPORTER_H_

#include <cstdint>
#include <functional>
#include <istream>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/client.h"
#include "tools/cli/vector_file.h"

namespace cookix::cli {

struct VectorImportOptions {
  std::string name_space;
  std::string collection;
  // The vector field, as the collection has it.
  v1::VectorField field;
  // Rows of one batch, and batches under way at once. A batch ends early when it
  // is large.
  int64_t batch_rows = 1000;
  int in_flight = 4;
  // First row to load, from 0, and how many; nothing = to the end.
  int64_t resume_from = 0;
  std::optional<int64_t> limit;
  // A key on each line, for the rows in order from the first of the file; null =
  // row numbers. Borrowed.
  std::istream* keys = nullptr;
  // Before each key.
  std::string key_prefix;
  // Digits of row numbers as keys, filled up with zeros.
  int key_digits = 1;
  // Identifies this import; resuming passes the same. Required.
  std::string import_id;
  // Called now and then with the rows read so far.
  std::function<void(int64_t rows)> progress;
};

struct VectorImportResult {
  int64_t vectors = 0;  // durable
  int64_t created = 0;  // objects that did not exist before
  // The first row that is not known to be durable.
  int64_t next_row = 0;
  absl::Status status;
};

// INVALID_ARGUMENT when rows of `file` cannot be vectors of `field`.
absl::Status CheckFits(const VectorFile& file, const v1::VectorField& field);

// How many lines a file of keys has.
int64_t CountLines(std::istream& in);

// Loads the rows of `file`, which is at its first. The result's status says how it
// ended.
VectorImportResult ImportVectors(client::Client& client, VectorFile& file,
                                 const VectorImportOptions& options);

}  // namespace cookix::cli

#endif  // COOKIX_TOOLS_CLI_VECTOR_IMPORTER_H_
