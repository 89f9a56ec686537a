#include "tools/cli/importer.h"

#include <algorithm>
#include <array>
#include <deque>
#include <utility>

#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"
#include "storage/base/status.h"
#include "tools/cli/arguments.h"
#include "tools/cli/json.h"
#include "tools/cli/text_width.h"

namespace cookix::cli {
namespace {

constexpr size_t kMaxLineBytes = 16 << 20;
constexpr size_t kMaxKeyBytes = 1024;
constexpr size_t kMaxRelationBytes = 256;
// A batch ends early when it has this much, so that one write stays bounded
// however long the lines are.
constexpr int64_t kMaxBatchBytes = 2 << 20;
constexpr int kMaxBatchMutations = 9000;
constexpr int64_t kMaxBatchEdges = 90'000;

absl::Status BadName(std::string_view what, std::string_view text, size_t most) {
  const std::string name(what);
  if (text.empty()) return InvalidField(name, "the " + name + " is empty", "fill it in");
  if (text.size() > most) {
    return InvalidField(name, "the " + name + " has " + std::to_string(text.size()) + " bytes",
                        "use at most " + std::to_string(most));
  }
  if (!IsValidUtf8(text)) {
    return InvalidField(name, "the " + name + " is not UTF-8", "convert the file to UTF-8");
  }
  for (char c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      return InvalidField(name, "the " + name + " has a control character", "remove it");
    }
  }
  return absl::OkStatus();
}

// In the manner of FNV-1a, eight bytes at a time, over two lanes with different
// starts: identity, not secrecy.
std::string Fingerprint(std::string_view bytes) {
  std::array<uint64_t, 2> lanes = {0xcbf29ce484222325u, 0x9e3779b97f4a7c15u};
  while (!bytes.empty()) {
    // The length of what is left tells a short last word from a full one.
    uint64_t word = bytes.size() < 8 ? bytes.size() << 56 : 0;
    const size_t taken = std::min<size_t>(8, bytes.size());
    for (size_t i = 0; i < taken; ++i) {
      word |= static_cast<uint64_t>(static_cast<unsigned char>(bytes[i])) << (8 * i);
    }
    bytes.remove_prefix(taken);
    for (uint64_t& lane : lanes) {
      lane ^= word;
      lane *= 0x100000001b3u;
      lane ^= lane >> 29;
    }
  }
  std::string raw;
  for (uint64_t lane : lanes) {
    for (int shift = 0; shift < 64; shift += 8) raw += static_cast<char>(lane >> shift);
  }
  return Hex(raw);
}

std::string Deterministic(const google::protobuf::Message& message) {
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    message.SerializeToCodedStream(&coded);
  }
  return bytes;
}

class Importer {
 public:
  Importer(client::Client& client, std::istream& in, const ImportOptions& options)
      : client_(client), in_(in), options_(options), format_(options.format) {}

  ImportResult Run() {
    result_.next_line = options_.resume_from;
    absl::Status status = ReadAll();
    if (writer_ != nullptr) {
      // What was sent before a bad line is still wanted.
      const absl::Status finished = writer_->Finish();
      if (status.ok()) status = finished;
      Settle(writer_->acknowledged());
    }
    if (status.ok()) result_.next_line = result_.lines + 1;
    result_.status = std::move(status);
    return std::move(result_);
  }

 private:
  struct Sent {
    int64_t end_line;  // first line after the batch
    int64_t objects;
    int64_t edges;
  };

  absl::Status ReadAll() {
    COOKIX_ASSIGN_OR_RETURN(writer_, client_.OpenBulkWriter(options_.in_flight));
    std::string line;
    int64_t batch_lines = 0;
    int64_t batch_bytes = 0;
    while (std::getline(in_, line)) {
      ++result_.lines;
      bytes_ += static_cast<int64_t>(line.size()) + 1;
      if (result_.lines < options_.resume_from) continue;
      ++batch_lines;
      batch_bytes += static_cast<int64_t>(line.size());
      COOKIX_RETURN_IF_ERROR(TakeLine(line));
      if (batch_lines >= options_.batch_lines || batch_bytes >= kMaxBatchBytes ||
          batch_.mutations_size() + static_cast<int>(triples_.size()) * 3 >= kMaxBatchMutations ||
          edges_ >= kMaxBatchEdges) {
        COOKIX_RETURN_IF_ERROR(SendBatch());
        batch_lines = 0;
        batch_bytes = 0;
      }
    }
    if (in_.bad()) return absl::DataLossError("the input could not be read to its end");
    return SendBatch();
  }

  absl::Status TakeLine(std::string_view line) {
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    if (result_.lines == 1 && line.substr(0, 3) == "\xef\xbb\xbf") line.remove_prefix(3);
    if (line.find_first_not_of(" \t") == std::string_view::npos) return absl::OkStatus();
    if (format_ == ImportFormat::kDetect) {
      format_ = line[line.find_first_not_of(" \t")] == '{' ? ImportFormat::kJsonLines
                                                           : ImportFormat::kTriples;
    }
    const absl::Status status =
        format_ == ImportFormat::kTriples ? TakeTriple(line) : TakeJson(line);
    if (status.ok()) return status;
    if (result_.skipped < options_.skip_bad) {
      ++result_.skipped;
      if (options_.skipped) options_.skipped(result_.lines, status);
      return absl::OkStatus();
    }
    // The good lines before this one are sent, so that resuming starts here.
    const int64_t bad_line = result_.lines;
    result_.lines = bad_line - 1;
    COOKIX_RETURN_IF_ERROR(SendBatch());
    result_.lines = bad_line;
    ErrorDetail detail = GetErrorDetail(status).value_or(ErrorDetail());
    detail.field =
        "line " + std::to_string(bad_line) + (detail.field.empty() ? "" : ", " + detail.field);
    const std::string message(status.message());
    return MakeError(status.code(), "line " + std::to_string(bad_line) + ": " + message,
                     std::move(detail));
  }

  absl::Status TakeTriple(std::string_view line) {
    COOKIX_ASSIGN_OR_RETURN(Triple triple, ParseTriple(line));
    v1::Edge edge;
    for (auto [ref, key] : {std::pair{edge.mutable_source(), triple.head},
                            std::pair{edge.mutable_target(), triple.tail}}) {
      ref->set_collection(options_.collection);
      ref->set_key(std::string(key));
    }
    edge.set_relation(std::string(triple.relation));
    if (triple.has_weight) edge.set_weight(triple.weight);
    triples_.push_back(std::move(edge));
    ++edges_;
    return absl::OkStatus();
  }

  absl::Status TakeJson(std::string_view line) {
    if (line.size() > kMaxLineBytes) {
      return LimitExceeded("line", "the line has " + std::to_string(line.size()) + " bytes",
                           "use at most 16 MiB");
    }
    COOKIX_ASSIGN_OR_RETURN(v1::Mutation mutation, ParseJsonLine(line, options_));
    if (mutation.has_put_object()) {
      ++objects_;
      edges_ += mutation.put_object().edges_size();
    } else {
      ++edges_;
    }
    *batch_.add_mutations() = std::move(mutation);
    return absl::OkStatus();
  }

  // Puts the heads and tails that do not exist yet, leaving the others as they
  // are but for a missing content that the names file has.
  absl::Status CreateEntities() {
    std::vector<std::string> fresh;
    for (const v1::Edge& edge : triples_) {
      for (const std::string* key : {&edge.source().key(), &edge.target().key()}) {
        if (known_.insert(*key).second) fresh.push_back(*key);
      }
    }
    constexpr size_t kPage = 5000;
    for (size_t start = 0; start < fresh.size(); start += kPage) {
      const size_t end = std::min(start + kPage, fresh.size());
      v1::BatchGetObjectsRequest request;
      request.set_namespace_(options_.name_space);
      request.mutable_mask()->set_without_properties(true);
      for (size_t i = start; i < end; ++i) {
        v1::ObjectRef* ref = request.add_refs();
        ref->set_collection(options_.collection);
        ref->set_key(fresh[i]);
      }
      v1::BatchGetObjectsResponse response;
      COOKIX_RETURN_IF_ERROR(client_.BatchGetObjects(request, &response));
      if (response.results_size() != request.refs_size()) {
        return absl::InternalError("the server answered a different number of objects");
      }
      for (int i = 0; i < response.results_size(); ++i) {
        const v1::ObjectResult& result = response.results(i);
        const auto name = options_.names.find(request.refs(i).key());
        if (!result.found()) {
          v1::Object* object = batch_.add_mutations()->mutable_put_object()->mutable_object();
          *object->mutable_ref() = request.refs(i);
          if (name != options_.names.end()) object->set_content(name->second);
          for (const std::string& label : options_.labels) object->add_labels(label);
          ++objects_;
        } else if (result.object().content().empty() && name != options_.names.end()) {
          v1::ObjectPatch* patch = batch_.add_mutations()->mutable_patch_object();
          *patch->mutable_ref() = request.refs(i);
          patch->set_content(name->second);
        }
      }
    }
    for (v1::Edge& edge : triples_) {
      *batch_.add_mutations()->mutable_put_edge() = std::move(edge);
    }
    triples_.clear();
    return absl::OkStatus();
  }

  absl::Status SendBatch() {
    if (!triples_.empty()) COOKIX_RETURN_IF_ERROR(CreateEntities());
    const Sent sent{result_.lines + 1, objects_, edges_};
    objects_ = 0;
    edges_ = 0;
    if (batch_.mutations().empty()) return absl::OkStatus();
    batch_.set_namespace_(options_.name_space);
    batch_.mutable_options()->set_bulk(true);
    batch_.mutable_options()->set_request_id(BatchId(options_.import_id, sent.end_line, batch_));
    sent_.push_back(sent);
    v1::WriteRequest request;
    request.Swap(&batch_);
    COOKIX_RETURN_IF_ERROR(writer_->Write(std::move(request)));
    Settle(writer_->acknowledged());
    if (options_.progress) options_.progress(result_.lines, bytes_);
    return absl::OkStatus();
  }

  // Moves `next_line` behind the batches that are durable.
  void Settle(int64_t acknowledged) {
    while (settled_ < acknowledged && !sent_.empty()) {
      result_.next_line = sent_.front().end_line;
      result_.objects += sent_.front().objects;
      result_.edges += sent_.front().edges;
      sent_.pop_front();
      ++settled_;
    }
  }

  client::Client& client_;
  std::istream& in_;
  const ImportOptions& options_;
  ImportFormat format_;
  std::unique_ptr<client::BulkWriter> writer_;
  std::unordered_set<std::string> known_;
  v1::WriteRequest batch_;
  std::vector<v1::Edge> triples_;
  int64_t objects_ = 0;
  int64_t edges_ = 0;
  int64_t bytes_ = 0;
  std::deque<Sent> sent_;
  int64_t settled_ = 0;
  ImportResult result_;
};

}  // namespace

absl::StatusOr<Triple> ParseTriple(std::string_view line) {
  std::array<std::string_view, 4> fields;
  size_t count = 0;
  size_t start = 0;
  while (true) {
    const size_t tab = line.find('\t', start);
    if (count < fields.size()) {
      fields[count] = line.substr(start, tab == std::string_view::npos ? tab : tab - start);
    }
    ++count;
    if (tab == std::string_view::npos) break;
    start = tab + 1;
  }
  if (count != 3 && count != 4) {
    return InvalidField("",
                        (count == 1 ? "there is " : "there are ") + std::to_string(count) +
                            (count == 1 ? " field" : " fields") + " between tabs",
                        "write head, relation, tail and, if wanted, a weight, with tabs between");
  }
  Triple triple{fields[0], fields[1], fields[2]};
  COOKIX_RETURN_IF_ERROR(BadName("head", triple.head, kMaxKeyBytes));
  COOKIX_RETURN_IF_ERROR(BadName("relation", triple.relation, kMaxRelationBytes));
  COOKIX_RETURN_IF_ERROR(BadName("tail", triple.tail, kMaxKeyBytes));
  if (count == 4) {
    const auto weight = ParseDouble(fields[3]);
    if (!weight || *weight < 0) {
      return InvalidField("weight", "the weight is \"" + OneLine(fields[3]) + "\"",
                          "write a finite number of at least 0");
    }
    triple.weight = *weight;
    triple.has_weight = true;
  }
  return triple;
}

absl::StatusOr<v1::Mutation> ParseJsonLine(std::string_view line, const ImportOptions& options) {
  COOKIX_ASSIGN_OR_RETURN(Json json, ParseJson(line));
  v1::Mutation mutation;
  auto check_edge = [&options](v1::Edge* edge) -> absl::Status {
    COOKIX_RETURN_IF_ERROR(BadName("relation", edge->relation(), kMaxRelationBytes));
    COOKIX_RETURN_IF_ERROR(BadName("target", edge->target().key(), kMaxKeyBytes));
    if (edge->has_weight() && edge->weight() < 0) {
      return InvalidField("weight", "the weight is negative", "write a number of at least 0");
    }
    if (edge->target().collection().empty()) {
      edge->mutable_target()->set_collection(options.collection);
    }
    return absl::OkStatus();
  };
  if (json.is_object() && json.contains("source")) {
    v1::Edge* edge = mutation.mutable_put_edge();
    COOKIX_ASSIGN_OR_RETURN(*edge, EdgeFromJson(json, true));
    COOKIX_RETURN_IF_ERROR(BadName("source", edge->source().key(), kMaxKeyBytes));
    COOKIX_RETURN_IF_ERROR(check_edge(edge));
    if (edge->source().collection().empty()) {
      edge->mutable_source()->set_collection(options.collection);
    }
    return mutation;
  }
  v1::ObjectWrite* write = mutation.mutable_put_object();
  COOKIX_ASSIGN_OR_RETURN(*write, ObjectWriteFromJson(json));
  v1::ObjectRef* ref = write->mutable_object()->mutable_ref();
  COOKIX_RETURN_IF_ERROR(BadName("key", ref->key(), kMaxKeyBytes));
  if (ref->collection().empty()) ref->set_collection(options.collection);
  for (v1::Edge& edge : *write->mutable_edges()) COOKIX_RETURN_IF_ERROR(check_edge(&edge));
  write->set_replace_edges(options.replace_edges);
  return mutation;
}

absl::StatusOr<std::unordered_map<std::string, std::string>> ReadNames(std::istream& in) {
  std::unordered_map<std::string, std::string> names;
  std::string line;
  int64_t number = 0;
  while (std::getline(in, line)) {
    ++number;
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (line.empty()) continue;
    const size_t tab = line.find('\t');
    if (tab == std::string::npos || tab == 0 || !IsValidUtf8(line)) {
      return UsageError(
          "names file, line " + std::to_string(number) + ": not a key, a tab and a text in UTF-8",
          "--names", "write key<TAB>text on each line");
    }
    names[line.substr(0, tab)] = line.substr(tab + 1);
  }
  return names;
}

std::string BatchId(std::string_view import_id, int64_t end,
                    const google::protobuf::Message& batch) {
  return "import-" + Fingerprint(std::string(import_id) + '\0' + std::to_string(end) + '\0' +
                                 Deterministic(batch));
}

ImportResult Import(client::Client& client, std::istream& in, const ImportOptions& options) {
  return Importer(client, in, options).Run();
}

}  // namespace cookix::cli
