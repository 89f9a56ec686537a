// Loads files of triples or JSON Lines through the bulk stream.
//
// The input is cut into batches of whole lines; a batch is one atomic write.
// When the import stops, it says the first line that was not acknowledged:
// starting there again is safe, because each batch has a request id made of the
// import's id, its lines and its content, and because puts repeat harmlessly.
#ifndef COOKIX_TOOLS_CLI_IMPORTER_H_
#define COOKIX_TOOLS_CLI_IMPORTER_H_

#include <cstdint>
#include <functional>
#include <istream>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/client.h"
#include "cookix/v1/object_service.pb.h"
#include "google/protobuf/message.h"

namespace cookix::cli {

enum class ImportFormat { kDetect, kTriples, kJsonLines };

struct ImportOptions {
  std::string name_space;
  std::string collection;
  ImportFormat format = ImportFormat::kDetect;
  // Lines of one batch, and batches under way at once.
  int64_t batch_lines = 1000;
  int in_flight = 4;
  // First line to read, from 1.
  int64_t resume_from = 1;
  // Identifies this import; resuming passes the same. Required.
  std::string import_id;
  // Malformed lines that are left out before the import stops.
  int64_t skip_bad = 0;
  // JSON Lines: the edges of a line replace the object's outgoing edges.
  bool replace_edges = false;
  // Triples: labels of the objects that the import creates.
  std::vector<std::string> labels;
  // Triples: content by key.
  std::unordered_map<std::string, std::string> names;
  // Called now and then with lines and bytes read.
  std::function<void(int64_t lines, int64_t bytes)> progress;
  // Called with each line left out.
  std::function<void(int64_t line, const absl::Status& why)> skipped;
};

struct ImportResult {
  int64_t lines = 0;    // read, blank ones and comments included
  int64_t objects = 0;  // put
  int64_t edges = 0;    // put
  int64_t skipped = 0;  // malformed lines left out
  // The first line that is not known to be durable; one past the last when all are.
  int64_t next_line = 1;
  absl::Status status;
};

// One line of triples: head, relation, tail and an optional weight, between tabs.
struct Triple {
  std::string_view head;
  std::string_view relation;
  std::string_view tail;
  double weight = 1.0;
  bool has_weight = false;
};
// INVALID_ARGUMENT says what is wrong with the line.
absl::StatusOr<Triple> ParseTriple(std::string_view line);

// One JSON line: an object with edges, or with "source" a single edge.
absl::StatusOr<v1::Mutation> ParseJsonLine(std::string_view line, const ImportOptions& options);

// Reads "key<TAB>text" lines; INVALID_ARGUMENT names the line.
absl::StatusOr<std::unordered_map<std::string, std::string>> ReadNames(std::istream& in);

// The request id of a batch: the same import, place and content have the same.
// `end` is the first line or row after the batch.
std::string BatchId(std::string_view import_id, int64_t end,
                    const google::protobuf::Message& batch);

// Imports all of `in`. The result's status says how it ended.
ImportResult Import(client::Client& client, std::istream& in, const ImportOptions& options);

}  // namespace cookix::cli

#endif  // COOKIX_TOOLS_CLI_IMPORTER_H_
