#include "tools/cli/vector_importer.h"

#include <algorithm>
#include <deque>
#include <memory>
#include <utility>
#include <vector>

#include "storage/base/status.h"
#include "tools/cli/importer.h"
#include "tools/cli/text_width.h"

namespace cookix::cli {
namespace {

// A batch ends early when its vectors take this much.
constexpr int64_t kMaxBatchBytes = 4 << 20;

class VectorImporter {
 public:
  VectorImporter(client::Client& client, VectorFile& file, const VectorImportOptions& options)
      : client_(client),
        file_(file),
        options_(options),
        bits_(options.field.metric() == v1::VECTOR_METRIC_HAMMING) {}

  VectorImportResult Run() {
    result_.next_row = options_.resume_from;
    absl::Status status = ReadAll();
    if (writer_ != nullptr) {
      // What was sent before a bad row is still wanted.
      const absl::Status finished = writer_->Finish();
      if (status.ok()) status = finished;
      Settle();
      result_.created = writer_->created();
    }
    result_.status = std::move(status);
    return std::move(result_);
  }

 private:
  absl::Status ReadAll() {
    for (int64_t i = 0; options_.keys != nullptr && i < options_.resume_from; ++i) {
      COOKIX_RETURN_IF_ERROR(NextKey(i).status());
    }
    COOKIX_RETURN_IF_ERROR(file_.Skip(options_.resume_from));
    COOKIX_ASSIGN_OR_RETURN(writer_, client_.OpenVectorWriter(options_.in_flight));
    const int64_t row_bytes = bits_ ? file_.dimension() : int64_t{4} * file_.dimension();
    const int64_t rows_of_batch = std::clamp<int64_t>(
        kMaxBatchBytes / std::max<int64_t>(1, row_bytes), 1, options_.batch_rows);
    std::vector<float> components;
    for (int64_t taken = 0; !options_.limit || taken < *options_.limit; ++taken) {
      const int64_t row = file_.row();
      absl::StatusOr<bool> more =
          bits_ ? file_.NextBytes(batch_.mutable_bits()) : file_.Next(&components);
      absl::StatusOr<std::string> key = std::string();
      if (more.ok() && *more) key = NextKey(row);
      if (!more.ok() || !key.ok()) {
        // The good rows before this one are sent, so that resuming starts here.
        if (bits_)
          batch_.mutable_bits()->resize(static_cast<size_t>(batch_.keys_size() * row_bytes));
        components.resize(static_cast<size_t>(batch_.keys_size()) *
                          static_cast<size_t>(file_.dimension()));
        COOKIX_RETURN_IF_ERROR(SendBatch(&components, row));
        return more.ok() ? key.status() : more.status();
      }
      if (!*more) break;
      batch_.add_keys(*std::move(key));
      if (batch_.keys_size() >= rows_of_batch) {
        COOKIX_RETURN_IF_ERROR(SendBatch(&components, row + 1));
      }
    }
    return SendBatch(&components, file_.row());
  }

  absl::StatusOr<std::string> NextKey(int64_t row) {
    if (options_.keys == nullptr) {
      std::string digits = std::to_string(row);
      const auto wanted = static_cast<size_t>(options_.key_digits);
      if (digits.size() < wanted) digits.insert(0, wanted - digits.size(), '0');
      return options_.key_prefix + digits;
    }
    std::string key;
    if (!std::getline(*options_.keys, key)) {
      return InvalidField("--keys", "the file of keys ends before row " + std::to_string(row),
                          "give a key for each row, one on each line");
    }
    if (!key.empty() && key.back() == '\r') key.pop_back();
    if (key.empty() || !IsValidUtf8(key)) {
      return InvalidField("--keys",
                          "line " + std::to_string(row + 1) + " of the file of keys is " +
                              (key.empty() ? "empty" : "not UTF-8"),
                          "give a key for each row, one on each line");
    }
    return options_.key_prefix + key;
  }

  // `end_row`: the first row after the batch.
  absl::Status SendBatch(std::vector<float>* components, int64_t end_row) {
    if (batch_.keys().empty()) return absl::OkStatus();
    batch_.set_namespace_(options_.name_space);
    batch_.set_collection(options_.collection);
    batch_.set_field(options_.field.name());
    batch_.mutable_values()->Add(components->begin(), components->end());
    components->clear();
    batch_.mutable_options()->set_bulk(true);
    batch_.mutable_options()->set_request_id(BatchId(options_.import_id, end_row, batch_));
    sent_.emplace_back(end_row, batch_.keys_size());
    v1::InsertVectorsRequest request;
    request.Swap(&batch_);
    COOKIX_RETURN_IF_ERROR(writer_->Write(std::move(request)));
    Settle();
    if (options_.progress) options_.progress(end_row);
    return absl::OkStatus();
  }

  // Moves `next_row` behind the batches that are durable.
  void Settle() {
    for (; settled_ < writer_->acknowledged() && !sent_.empty(); ++settled_) {
      result_.next_row = sent_.front().first;
      result_.vectors += sent_.front().second;
      sent_.pop_front();
    }
  }

  client::Client& client_;
  VectorFile& file_;
  const VectorImportOptions& options_;
  const bool bits_;
  std::unique_ptr<client::VectorWriter> writer_;
  v1::InsertVectorsRequest batch_;
  // Of each batch under way: the first row after it, and its rows.
  std::deque<std::pair<int64_t, int64_t>> sent_;
  int64_t settled_ = 0;
  VectorImportResult result_;
};

}  // namespace

absl::Status CheckFits(const VectorFile& file, const v1::VectorField& field) {
  const std::string name = "the field " + OneLine(field.name());
  if (field.dimension() == 0) {
    return InvalidField("--field", name + " is sparse", "load sparse vectors as JSON Lines");
  }
  if (file.rows() == 0) return absl::OkStatus();
  if (field.metric() != v1::VECTOR_METRIC_HAMMING) {
    if (file.dimension() == field.dimension()) return absl::OkStatus();
    return InvalidField("FILE",
                        "the file's vectors have " + std::to_string(file.dimension()) +
                            " components, those of " + name + " " +
                            std::to_string(field.dimension()),
                        "give a file of that dimension, or load into another field");
  }
  if (!file.bytes()) {
    return InvalidField("FILE", name + " is one of bits, and the file's components are no bytes",
                        "pack eight bits into each byte, the first into the lowest bit: "
                        "numpy.packbits(array, axis=1, bitorder=\"little\")");
  }
  const int bytes = (field.dimension() + 7) / 8;
  if (file.dimension() == bytes) return absl::OkStatus();
  return InvalidField("FILE",
                      "the file's rows have " + std::to_string(file.dimension()) +
                          " bytes, and the " + std::to_string(field.dimension()) + " bits of " +
                          name + " have " + std::to_string(bytes),
                      "give a file with eight bits in each byte");
}

int64_t CountLines(std::istream& in) {
  std::string line;
  int64_t lines = 0;
  while (std::getline(in, line)) ++lines;
  return lines;
}

VectorImportResult ImportVectors(client::Client& client, VectorFile& file,
                                 const VectorImportOptions& options) {
  return VectorImporter(client, file, options).Run();
}

}  // namespace cookix::cli
