// import and export.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <limits>
#include <memory>
#include <sstream>

#include "client/request_id.h"
#include "storage/base/status.h"
#include "tools/cli/command.h"
#include "tools/cli/importer.h"
#include "tools/cli/render.h"
#include "tools/cli/requests.h"
#include "tools/cli/text_width.h"
#include "tools/cli/vector_arguments.h"
#include "tools/cli/vector_file.h"
#include "tools/cli/vector_importer.h"

namespace cookix::cli {
namespace {

constexpr int64_t kMax = std::numeric_limits<int64_t>::max();

// A flag that only other formats have.
absl::Status RefuseFlags(const Arguments& args, std::initializer_list<const char*> flags,
                         std::string_view formats) {
  for (const char* flag : flags) {
    if (!args.Has(flag)) continue;
    return UsageError("--" + std::string(flag) + " is for " + std::string(formats),
                      "--" + std::string(flag), "leave it out, or see --format");
  }
  return absl::OkStatus();
}

// A file of keys, which is read twice; of a pipe, which cannot be, what came is kept. Not good()
// when it cannot be read.
std::unique_ptr<std::istream> OpenKeys(const std::string& path) {
  auto file = std::make_unique<std::ifstream>(path, std::ios::binary);
  if (!*file) return file;
  file->seekg(0, std::ios::end);
  const bool twice = file->good();
  file->clear();
  if (twice) {
    file->seekg(0);
    return file;
  }
  auto kept = std::make_unique<std::stringstream>();
  *kept << file->rdbuf();
  kept->clear();
  return kept;
}

// The vector field that a file is loaded into, made with its collection if it is
// not there and --create is given.
absl::StatusOr<v1::VectorField> TargetField(Context& context, const VectorFile& file) {
  const Arguments& args = context.args();
  const std::string name = args.Get("field");
  v1::VectorField wanted;
  wanted.set_name(name);
  COOKIX_ASSIGN_OR_RETURN(const v1::VectorMetric metric,
                          ParseMetric(args.Get("metric"), "--metric"));
  wanted.set_metric(metric);
  COOKIX_ASSIGN_OR_RETURN(const v1::VectorIndexKind kind,
                          ParseIndexKind(args.Get("index"), "--index"));
  wanted.set_index(kind);
  COOKIX_ASSIGN_OR_RETURN(const v1::VectorQuantization quantization,
                          ParseQuantization(args.Get("quantization"), "--quantization"));
  wanted.set_quantization(quantization);
  const bool bits = metric == v1::VECTOR_METRIC_HAMMING;
  wanted.set_dimension(bits ? file.dimension() * 8 : file.dimension());
  if (!args.Has("create")) {
    COOKIX_RETURN_IF_ERROR(
        RefuseFlags(args, {"metric", "index", "quantization"}, "fields made with --create"));
  } else if (name.empty()) {
    return UsageError("--create without --field", "--field", "name the vector field");
  } else if (file.dimension() == 0) {
    return UsageError("--create with an empty file", "FILE", "the file tells the dimension");
  }

  v1::GetCollectionRequest get;
  get.set_namespace_(context.name_space());
  get.set_collection(context.collection());
  v1::GetCollectionResponse got;
  COOKIX_ASSIGN_OR_RETURN(client::Client * client, context.client());
  const absl::Status found = client->GetCollection(get, &got);
  const auto detail = GetErrorDetail(found);
  if (!found.ok() && detail && detail->reason == "COLLECTION_NOT_FOUND" && args.Has("create")) {
    v1::CreateCollectionRequest create;
    create.set_namespace_(context.name_space());
    create.mutable_collection()->set_name(context.collection());
    *create.mutable_collection()->add_vector_fields() = wanted;
    v1::CreateCollectionResponse created;
    COOKIX_RETURN_IF_ERROR(client->CreateCollection(create, &created));
    return FindVectorField(created.collection(), name);
  }
  COOKIX_RETURN_IF_ERROR(found);
  auto field = FindVectorField(got.collection(), name);
  if (field.ok() || !args.Has("create")) {
    if (field.ok() && metric != v1::VECTOR_METRIC_UNSPECIFIED && field->metric() != metric) {
      return UsageError(
          "the field " + OneLine(name) + " has the metric " + MetricText(field->metric()),
          "--metric", "leave --metric out, or load into another field");
    }
    return field;
  }
  v1::UpdateCollectionRequest update;
  update.set_namespace_(context.name_space());
  update.set_collection(context.collection());
  *update.add_put_vector_fields() = wanted;
  v1::UpdateCollectionResponse updated;
  COOKIX_RETURN_IF_ERROR(client->UpdateCollection(update, &updated));
  return FindVectorField(updated.collection(), name);
}

absl::Status ImportVectorFile(Context& context, VectorFormat format) {
  const Arguments& args = context.args();
  const std::string path = args.Positional(0);
  COOKIX_RETURN_IF_ERROR(
      RefuseFlags(args, {"names", "label", "replace-edges", "skip-bad"}, "triples or JSON Lines"));
  VectorImportOptions options;
  options.name_space = context.name_space();
  options.collection = context.collection();
  options.key_prefix = args.Get("key-prefix");
  options.import_id = args.Get("import-id", client::NewRequestId());
  COOKIX_ASSIGN_OR_RETURN(options.batch_rows, args.GetInt("batch", 1000, 1, 10'000));
  COOKIX_ASSIGN_OR_RETURN(const int64_t in_flight, args.GetInt("in-flight", 4, 1, 64));
  options.in_flight = static_cast<int>(in_flight);
  COOKIX_ASSIGN_OR_RETURN(options.resume_from, args.GetInt("resume-from", 0, 0, kMax));
  if (args.Has("limit")) {
    COOKIX_ASSIGN_OR_RETURN(const int64_t limit, args.GetInt("limit", 0, 1, kMax));
    // Resuming loads what is left of the rows that the first call was to load.
    options.limit = std::max<int64_t>(0, limit - options.resume_from);
  }

  COOKIX_ASSIGN_OR_RETURN(const auto file, path == "-"
                                               ? VectorFile::Read(*context.environment().in, format)
                                               : VectorFile::Open(path, format));
  std::unique_ptr<std::istream> keys;
  if (args.Has("keys")) {
    const std::string keys_path = args.Get("keys");
    keys = OpenKeys(keys_path);
    if (!keys->good()) return UsageError("cannot read " + keys_path, "--keys", "check the path");
    const int64_t lines = CountLines(*keys);
    if (file->rows() && lines != *file->rows()) {
      return UsageError("the file of keys has " + WithCommas(lines) +
                            " lines, the file of vectors " + WithCommas(*file->rows()) + " rows",
                        "--keys", "give a key for each row, one on each line");
    }
    keys->clear();
    keys->seekg(0);
    options.keys = keys.get();
  } else if (file->rows()) {
    options.key_digits =
        static_cast<int>(std::to_string(std::max<int64_t>(0, *file->rows() - 1)).size());
  } else {
    return UsageError("how many rows standard input has is not known", "--keys",
                      "give --keys, or a file instead of standard input");
  }
  COOKIX_ASSIGN_OR_RETURN(options.field, TargetField(context, *file));
  COOKIX_RETURN_IF_ERROR(CheckFits(*file, options.field));
  COOKIX_ASSIGN_OR_RETURN(client::Client * client, context.client());

  int64_t total = file->rows().value_or(0);
  if (options.limit && (total == 0 || options.resume_from + *options.limit < total)) {
    total = options.resume_from + *options.limit;
  }
  Progress progress = context.MakeProgress("import", total, "vectors");
  options.progress = [&progress](int64_t rows) { progress.Update(rows); };
  const auto started = std::chrono::steady_clock::now();
  const VectorImportResult result = ImportVectors(*client, *file, options);
  progress.Abandon();
  const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(
                          std::chrono::steady_clock::now() - started)
                          .count();
  if (!result.status.ok()) {
    ErrorDetail detail = GetErrorDetail(result.status).value_or(ErrorDetail());
    if (!detail.remedy.empty()) detail.remedy += "; then ";
    detail.remedy += "go on with --resume-from " + std::to_string(result.next_row) +
                     " --import-id " + options.import_id;
    if (!context.json()) {
      context.err().Line("stopped: " + WithCommas(result.vectors) +
                         " vectors, those of the rows before row " +
                         std::to_string(result.next_row) + ", are durable");
    }
    const std::string message(result.status.message());
    return MakeError(result.status.code(), message, std::move(detail));
  }
  if (context.json()) {
    Json document = Json::object();
    document["vectors"] = result.vectors;
    document["created"] = result.created;
    document["dimension"] = options.field.dimension();
    document["seconds"] = static_cast<double>(micros) / 1e6;
    context.out().JsonLine(document);
  } else if (!context.quiet()) {
    const double seconds = std::max(1e-6, static_cast<double>(micros) / 1e6);
    context.out().Line(
        "imported " + WithCommas(result.vectors) + " vectors of dimension " +
        std::to_string(options.field.dimension()) + " in " + HumanMicros(micros) + " (" +
        WithCommas(static_cast<int64_t>(static_cast<double>(result.vectors) / seconds)) + "/s), " +
        WithCommas(result.created) + " objects created");
  }
  return absl::OkStatus();
}

absl::Status ImportFile(Context& context) {
  const Arguments& args = context.args();
  const std::string path = args.Positional(0);
  const std::string wanted = args.Get("format", "auto");
  if (const auto vectors = VectorFormatOf(wanted == "auto" ? path : wanted)) {
    return ImportVectorFile(context, *vectors);
  }
  COOKIX_RETURN_IF_ERROR(RefuseFlags(
      args, {"field", "create", "metric", "index", "quantization", "keys", "key-prefix", "limit"},
      "files of vectors"));
  ImportOptions options;
  options.name_space = context.name_space();
  options.collection = context.collection();
  if (wanted == "triples" || wanted == "tsv") {
    options.format = ImportFormat::kTriples;
  } else if (wanted == "jsonl") {
    options.format = ImportFormat::kJsonLines;
  } else if (wanted != "auto") {
    return UsageError("--format is \"" + wanted + "\"", "--format",
                      "use triples, jsonl, fvecs, bvecs or npy");
  }
  COOKIX_ASSIGN_OR_RETURN(options.batch_lines, args.GetInt("batch", 1000, 1, 3000));
  COOKIX_ASSIGN_OR_RETURN(int64_t in_flight, args.GetInt("in-flight", 4, 1, 64));
  options.in_flight = static_cast<int>(in_flight);
  COOKIX_ASSIGN_OR_RETURN(options.resume_from, args.GetInt("resume-from", 1, 1, kMax));
  COOKIX_ASSIGN_OR_RETURN(options.skip_bad, args.GetInt("skip-bad", 0, 0, kMax));
  options.import_id = args.Get("import-id", client::NewRequestId());
  options.replace_edges = args.Has("replace-edges");
  options.labels = args.GetAll("label");
  if (args.Has("names")) {
    std::ifstream names(args.Get("names"), std::ios::binary);
    if (!names) {
      return UsageError("cannot read " + args.Get("names"), "--names", "check the path");
    }
    COOKIX_ASSIGN_OR_RETURN(options.names, ReadNames(names));
  }

  std::ifstream file;
  int64_t size = 0;
  if (path != "-") {
    std::error_code error;
    if (std::filesystem::is_directory(path, error)) {
      return UsageError(path + " is a directory", "FILE", "give a file");
    }
    file.open(path, std::ios::binary);
    if (!file) return UsageError("cannot read " + path, "FILE", "check the path");
    const auto bytes = std::filesystem::file_size(path, error);
    if (!error) size = static_cast<int64_t>(bytes);
  }
  std::istream& in = path == "-" ? *context.environment().in : file;
  COOKIX_ASSIGN_OR_RETURN(client::Client * client, context.client());

  Progress progress = context.MakeProgress("import", size, "bytes");
  options.progress = [&progress](int64_t, int64_t bytes) { progress.Update(bytes); };
  options.skipped = [&](int64_t line, const absl::Status& why) {
    progress.Abandon();
    if (!context.quiet()) {
      context.err().Line("skipped line " + std::to_string(line) + ": " +
                         std::string(why.message()));
    }
  };
  const auto started = std::chrono::steady_clock::now();
  const ImportResult result = Import(*client, in, options);
  progress.Abandon();
  const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(
                          std::chrono::steady_clock::now() - started)
                          .count();
  if (!result.status.ok()) {
    const std::string resume =
        "--resume-from " + std::to_string(result.next_line) + " --import-id " + options.import_id;
    ErrorDetail detail = GetErrorDetail(result.status).value_or(ErrorDetail());
    if (!detail.remedy.empty()) detail.remedy += "; then ";
    detail.remedy += "go on with " + resume;
    if (!context.json()) {
      context.err().Line("stopped: " + WithCommas(result.objects) + " objects and " +
                         WithCommas(result.edges) + " edges of the lines before line " +
                         std::to_string(result.next_line) + " are durable");
    }
    const std::string message(result.status.message());
    return MakeError(result.status.code(), message, std::move(detail));
  }
  if (context.json()) {
    Json document = Json::object();
    document["lines"] = result.lines;
    document["objects"] = result.objects;
    document["edges"] = result.edges;
    document["skipped"] = result.skipped;
    document["seconds"] = static_cast<double>(micros) / 1e6;
    context.out().JsonLine(document);
  } else if (!context.quiet()) {
    const double seconds = std::max(1e-6, static_cast<double>(micros) / 1e6);
    context.out().Line(
        "imported " + WithCommas(result.objects) + " objects and " + WithCommas(result.edges) +
        " edges from " + WithCommas(result.lines) + " lines in " + HumanMicros(micros) + " (" +
        WithCommas(
            static_cast<int64_t>(static_cast<double>(result.objects + result.edges) / seconds)) +
        "/s)" +
        (result.skipped > 0 ? ", " + WithCommas(result.skipped) + " malformed lines left out"
                            : ""));
  }
  return absl::OkStatus();
}

void WriteTriples(const v1::ObjectWrite& write, std::ostream& out) {
  for (const v1::Edge& edge : write.edges()) {
    out << write.object().ref().key() << '\t' << edge.relation() << '\t' << edge.target().key();
    if (edge.has_weight() && edge.weight() != 1.0) {
      char weight[40];
      std::snprintf(weight, sizeof weight, "%.17g", edge.weight());
      out << '\t' << weight;
    }
    out << '\n';
  }
}

absl::Status Export(Context& context) {
  const Arguments& args = context.args();
  const std::string format = args.Get("format", "jsonl");
  if (format != "jsonl" && format != "triples") {
    return UsageError("--format is \"" + format + "\"", "--format", "use jsonl or triples");
  }
  v1::StreamObjectsRequest request;
  request.set_namespace_(context.name_space());
  request.set_key_prefix(args.Get("prefix"));
  request.set_with_edges(true);
  request.mutable_mask()->set_with_vectors(format == "jsonl");
  if (args.Has("where")) {
    COOKIX_RETURN_IF_ERROR(FillWhere(context, request.mutable_filter()).status());
  }
  COOKIX_RETURN_IF_ERROR(FillRead(context, request.mutable_options()));
  std::vector<std::string> collections;
  if (args.Has("collection")) {
    collections.push_back(context.collection());
  } else {
    v1::ListCollectionsRequest list;
    list.set_namespace_(context.name_space());
    list.set_page_size(1000);
    v1::ListCollectionsResponse response;
    do {
      list.set_page_token(response.next_page_token());
      COOKIX_CALL(context, ListCollections, list, &response);
      for (const v1::Collection& item : response.collections()) collections.push_back(item.name());
    } while (!response.next_page_token().empty());
  }

  // A file appears under its name only when it is whole.
  const std::string path = args.Get("output", "-");
  const std::string partial = path + ".partial";
  std::ofstream file;
  if (path != "-") {
    file.open(partial, std::ios::binary | std::ios::trunc);
    if (!file) return UsageError("cannot write " + partial, "--output", "check the directory");
  }
  std::ostream& out = path == "-" ? *context.environment().out : file;
  COOKIX_ASSIGN_OR_RETURN(client::Client * client, context.client());
  Progress progress(*context.environment().err, context.environment().err_is_terminal,
                    context.quiet() || path == "-", "export", 0, "objects");
  int64_t objects = 0;
  int64_t edges = 0;
  absl::Status status;
  for (const std::string& collection : collections) {
    request.set_collection(collection);
    status = client->StreamObjects(request, [&](v1::StreamObjectsResponse&& chunk) {
      for (const v1::ObjectWrite& write : chunk.objects()) {
        ++objects;
        edges += write.edges_size();
        if (format == "triples") {
          WriteTriples(write, out);
        } else {
          out << Dump(ObjectWriteToJson(write)) << '\n';
        }
      }
      progress.Update(objects);
      return static_cast<bool>(out);
    });
    if (!status.ok() || !out) break;
  }
  progress.Abandon();
  out.flush();
  if (status.ok() && !out) {
    status = absl::InternalError("the output could not be written: is the disk full?");
  }
  if (path != "-") {
    file.close();
    if (status.ok() && std::rename(partial.c_str(), path.c_str()) != 0) {
      status = absl::InternalError("cannot rename " + partial);
    }
    if (!status.ok()) std::remove(partial.c_str());
  }
  COOKIX_RETURN_IF_ERROR(status);
  if (path != "-" && !context.quiet()) {
    if (context.json()) {
      Json document = Json::object();
      document["objects"] = objects;
      document["edges"] = edges;
      document["path"] = path;
      context.out().JsonLine(document);
    } else {
      context.out().Line("exported " + WithCommas(objects) + " objects and " + WithCommas(edges) +
                         " edges to " + path);
    }
  }
  return absl::OkStatus();
}

}  // namespace

std::vector<Command> TransferCommands() {
  return {
      {"import",
       {},
       "load triples, JSON Lines or files of vectors",
       {{"FILE", "the file; - is standard input"}},
       {{"format", "FORMAT",
         "triples, jsonl, fvecs, bvecs or npy (default: by the name, else by the first line)"},
        {"names", "FILE", "content of entities, key<TAB>text (triples)"},
        {"label", "NAME", "label of the entities created (triples)", 'l', true},
        {"replace-edges", "", "edges of a line replace all outgoing ones (JSON Lines)"},
        {"field", "NAME", "the vector field (vectors; default: the only one)"},
        {"create", "", "make the collection and the field if they are missing (vectors)"},
        {"metric", "METRIC", "with --create: cosine, l2, dot or hamming (default cosine)"},
        {"index", "KIND", "with --create: hnsw, flat or cells (default hnsw)"},
        {"quantization", "KIND", "with --create: int8, none, product or binary"},
        {"keys", "FILE", "a key on each line (vectors; default: row numbers)"},
        {"key-prefix", "TEXT", "put before each key (vectors)"},
        {"limit", "N", "only the first N rows (vectors)"},
        {"batch", "N", "lines or rows of one atomic write (default 1000)"},
        {"in-flight", "N", "writes under way at once (default 4)"},
        {"skip-bad", "N", "leave out up to N malformed lines"},
        {"resume-from", "LINE", "go on with this line, or row of a file of vectors"},
        {"import-id", "ID", "id of the import that is resumed"},
        CollectionFlag()},
       {"cookix import train.txt --names entity2text.txt -n wordnet",
        "zcat objects.jsonl.gz | cookix import - --skip-bad 10",
        "cookix import base.fvecs -c sift --field v --create --metric l2"},
       ImportFile},
      {"export",
       {},
       "write objects with their edges, to be imported again",
       {},
       {{"format", "jsonl|triples", "the format (default jsonl)"},
        {"output", "FILE", "the file (default standard output)", 'o'},
        {"prefix", "TEXT", "only keys that start with this"},
        WhereFlag(),
        CollectionFlag(),
        {"min-position", "HEX", "read at or after this position"}},
       {"cookix export -o all.jsonl", "cookix export --format triples -c parts"},
       Export},
  };
}

}  // namespace cookix::cli
