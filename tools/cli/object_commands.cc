// put, get, patch, delete, scan, count.
#include <algorithm>
#include <chrono>
#include <limits>

#include "storage/base/status.h"
#include "tools/cli/command.h"
#include "tools/cli/render.h"
#include "tools/cli/requests.h"
#include "tools/cli/text_width.h"
#include "tools/cli/vector_arguments.h"

namespace cookix::cli {
namespace {

constexpr int64_t kMax = std::numeric_limits<int64_t>::max();

int64_t NowMs() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

std::vector<FlagSpec> ConditionFlags() {
  return {{"if-version", "N", "only if the object has this version"},
          {"if-absent", "", "only if the object does not exist"},
          {"if-present", "", "only if the object exists"}};
}

absl::Status FillCondition(const Context& context, v1::Condition* condition, bool* set) {
  const Arguments& args = context.args();
  const int given = (args.Has("if-version") ? 1 : 0) + (args.Has("if-absent") ? 1 : 0) +
                    (args.Has("if-present") ? 1 : 0);
  *set = given > 0;
  if (given > 1) {
    return UsageError("more than one condition is given", "--if-version",
                      "give one of --if-version, --if-absent and --if-present");
  }
  if (args.Has("if-version")) {
    COOKIX_ASSIGN_OR_RETURN(int64_t version, args.GetInt("if-version", 0, 0, kMax));
    condition->set_version(version);
  } else if (given == 1) {
    condition->set_exists(args.Has("if-present"));
  }
  return absl::OkStatus();
}

void PrintWritten(Context& context, const std::string& what, const v1::WriteResult& result) {
  if (context.quiet()) return;
  context.out().Line(what + context.out().Paint("  version " + std::to_string(result.commit()) +
                                                    (result.replayed() ? ", replayed" : ""),
                                                Tone::kDim));
}

// Everything that flags say about an object, on top of what JSON said.
absl::Status ReadObjectFlags(Context& context, v1::ObjectWrite* write) {
  const Arguments& args = context.args();
  v1::Object* object = write->mutable_object();
  if (args.Has("content")) object->set_content(args.Get("content"));
  for (const std::string& text : args.GetAll("prop")) {
    COOKIX_ASSIGN_OR_RETURN(auto property, ParseProperty(text));
    (*object->mutable_properties())[property.first] = std::move(property.second);
  }
  for (const std::string& label : args.GetAll("label")) object->add_labels(label);
  for (const std::string& text : args.GetAll("vector")) {
    const size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0) {
      return UsageError("--vector needs field=vector, not \"" + Shorten(OneLine(text), 40) + "\"",
                        "--vector", "write --vector shape=0.1,0.2,…");
    }
    COOKIX_ASSIGN_OR_RETURN((*object->mutable_vectors())[text.substr(0, equals)],
                            ParseVector(context, text.substr(equals + 1), "--vector"));
  }
  for (const std::string& text : args.GetAll("edge")) {
    COOKIX_ASSIGN_OR_RETURN(*write->add_edges(), ParseEdge(text, args.Has("target-collection")
                                                                     ? args.Get("target-collection")
                                                                     : object->ref().collection()));
  }
  if (args.Has("ttl")) {
    COOKIX_ASSIGN_OR_RETURN(int64_t ttl, args.GetDurationMs("ttl", 0));
    object->set_expires_ms(ttl == 0 ? 0 : NowMs() + ttl);
  }
  if (args.Has("replace-edges")) write->set_replace_edges(true);
  return absl::OkStatus();
}

absl::Status Put(Context& context) {
  v1::PutObjectRequest request;
  request.set_namespace_(context.name_space());
  v1::ObjectWrite* write = request.mutable_write();
  const std::string key = context.args().Positional(0);
  if (context.args().Has("file") || key == "-") {
    COOKIX_ASSIGN_OR_RETURN(std::string text, context.ReadInput(context.args().Get("file", "-")));
    COOKIX_ASSIGN_OR_RETURN(Json json, ParseJson(text));
    if (!key.empty() && key != "-" && json.is_object()) json["key"] = key;
    COOKIX_ASSIGN_OR_RETURN(*write, ObjectWriteFromJson(json));
    if (context.args().Has("collection")) {
      write->mutable_object()->mutable_ref()->set_collection(context.collection());
    }
  } else if (key.empty()) {
    return UsageError("KEY is missing", "KEY", "give a key, or - to read JSON");
  } else {
    *write->mutable_object()->mutable_ref() = context.Ref(key);
  }
  COOKIX_RETURN_IF_ERROR(ReadObjectFlags(context, write));
  bool conditional = false;
  v1::Condition condition;
  COOKIX_RETURN_IF_ERROR(FillCondition(context, &condition, &conditional));
  if (conditional) *write->mutable_condition() = condition;
  COOKIX_RETURN_IF_ERROR(FillWrite(context, request.mutable_options()));
  v1::PutObjectResponse response;
  COOKIX_CALL(context, PutObject, request, &response);
  context.Answer(response, [&] {
    PrintWritten(context,
                 (response.created() ? "created " : "updated ") + RefText(write->object().ref()),
                 response.result());
  });
  return absl::OkStatus();
}

absl::Status Patch(Context& context) {
  const Arguments& args = context.args();
  v1::PatchObjectRequest request;
  request.set_namespace_(context.name_space());
  v1::ObjectPatch* patch = request.mutable_patch();
  v1::ObjectWrite given;
  *given.mutable_object()->mutable_ref() = context.Ref(args.Positional(0));
  COOKIX_RETURN_IF_ERROR(ReadObjectFlags(context, &given));
  *patch->mutable_ref() = given.object().ref();
  if (args.Has("content")) patch->set_content(given.object().content());
  *patch->mutable_set_properties() = given.object().properties();
  *patch->mutable_add_labels() = given.object().labels();
  *patch->mutable_add_edges() = given.edges();
  *patch->mutable_set_vectors() = given.object().vectors();
  for (const std::string& name : args.GetAll("remove-prop")) patch->add_remove_properties(name);
  for (const std::string& name : args.GetAll("remove-label")) patch->add_remove_labels(name);
  for (const std::string& name : args.GetAll("remove-vector")) patch->add_remove_vectors(name);
  if (args.Has("ttl")) patch->set_expires_ms(given.object().expires_ms());
  bool conditional = false;
  v1::Condition condition;
  COOKIX_RETURN_IF_ERROR(FillCondition(context, &condition, &conditional));
  if (conditional) *patch->mutable_condition() = condition;
  COOKIX_RETURN_IF_ERROR(FillWrite(context, request.mutable_options()));
  v1::PatchObjectResponse response;
  COOKIX_CALL(context, PatchObject, request, &response);
  context.Answer(response, [&] {
    PrintWritten(context, "updated " + RefText(patch->ref()), response.result());
  });
  return absl::OkStatus();
}

absl::Status Get(Context& context) {
  const auto& keys = context.args().positionals();
  v1::ObjectMask mask;
  mask.set_with_vectors(context.args().Has("vectors"));
  if (keys.size() == 1) {
    v1::GetObjectRequest request;
    request.set_namespace_(context.name_space());
    *request.mutable_ref() = context.Ref(keys[0]);
    *request.mutable_mask() = mask;
    COOKIX_RETURN_IF_ERROR(FillRead(context, request.mutable_options()));
    v1::GetObjectResponse response;
    COOKIX_CALL(context, GetObject, request, &response);
    context.Answer(response.object(), [&] { PrintObject(response.object(), context.out()); });
    return absl::OkStatus();
  }
  v1::BatchGetObjectsRequest request;
  request.set_namespace_(context.name_space());
  for (const std::string& key : keys) *request.add_refs() = context.Ref(key);
  *request.mutable_mask() = mask;
  COOKIX_RETURN_IF_ERROR(FillRead(context, request.mutable_options()));
  v1::BatchGetObjectsResponse response;
  COOKIX_CALL(context, BatchGetObjects, request, &response);
  bool all = true;
  for (const v1::ObjectResult& result : response.results()) all = all && result.found();
  if (context.json()) {
    Json list = Json::array();
    for (const v1::ObjectResult& result : response.results()) {
      list.push_back(result.found() ? ToJson(result.object()) : Json(nullptr));
    }
    context.out().JsonLine(list);
  } else {
    for (int i = 0; i < response.results_size(); ++i) {
      if (i > 0) context.out().Line();
      if (response.results(i).found()) {
        PrintObject(response.results(i).object(), context.out());
      } else {
        context.out().Line(RefText(request.refs(i)) +
                           context.out().Paint("  not found", Tone::kBad));
      }
    }
  }
  if (all) return absl::OkStatus();
  return NotFound("OBJECT_NOT_FOUND", "KEY", "some of the objects do not exist",
                  "see which in the answer");
}

absl::Status Delete(Context& context) {
  Json documents = Json::array();
  for (const std::string& key : context.args().positionals()) {
    v1::DeleteObjectRequest request;
    request.set_namespace_(context.name_space());
    *request.mutable_delete_()->mutable_ref() = context.Ref(key);
    request.mutable_delete_()->set_leave_dangling(context.args().Has("leave-dangling"));
    bool conditional = false;
    v1::Condition condition;
    COOKIX_RETURN_IF_ERROR(FillCondition(context, &condition, &conditional));
    if (conditional) *request.mutable_delete_()->mutable_condition() = condition;
    COOKIX_RETURN_IF_ERROR(FillWrite(context, request.mutable_options()));
    v1::DeleteObjectResponse response;
    COOKIX_CALL(context, DeleteObject, request, &response);
    if (context.json()) {
      Json document = ToJson(response);
      document["key"] = key;
      documents.push_back(std::move(document));
    } else if (!context.quiet()) {
      context.out().Line((response.existed() ? "deleted " : "not there ") +
                         RefText(request.delete_().ref()));
    }
  }
  if (context.json()) {
    context.out().JsonLine(documents.size() == 1 ? documents[0] : documents);
  }
  return absl::OkStatus();
}

absl::Status Scan(Context& context) {
  const Arguments& args = context.args();
  v1::ScanObjectsRequest request;
  request.set_namespace_(context.name_space());
  request.set_collection(context.collection());
  request.set_key_prefix(args.Get("prefix"));
  request.set_start_key(args.Get("start"));
  request.set_end_key(args.Get("end"));
  request.set_reverse(args.Has("reverse"));
  request.mutable_mask()->set_with_vectors(args.Has("vectors"));
  if (args.Has("where")) {
    COOKIX_RETURN_IF_ERROR(FillWhere(context, request.mutable_filter()).status());
  }
  COOKIX_RETURN_IF_ERROR(FillRead(context, request.mutable_options()));
  COOKIX_ASSIGN_OR_RETURN(int64_t limit,
                          args.GetInt("limit", args.Has("all") ? kMax : 20, 1, kMax));
  Table table({{"KEY", false, Tone::kBold}, {"LABELS"}, {"VERSION", true}, {"CONTENT"}});
  // A token belongs to one page size, so that it stays the same to the end.
  request.set_page_size(static_cast<int32_t>(std::min<int64_t>(limit, 1000)));
  int64_t shown = 0;
  bool more = true;
  while (more && shown < limit) {
    v1::ScanObjectsResponse response;
    COOKIX_CALL(context, ScanObjects, request, &response);
    more = !response.next_page_token().empty();
    for (const v1::Object& object : response.objects()) {
      if (shown == limit) {
        more = true;
        break;
      }
      ++shown;
      if (context.json()) {
        context.out().JsonLine(ToJson(object));
        continue;
      }
      std::string labels;
      for (const std::string& label : object.labels()) {
        labels += (labels.empty() ? "" : ", ") + label;
      }
      table.Add(
          {RefText(object.ref()), labels, std::to_string(object.version()), object.content()});
    }
    request.set_page_token(response.next_page_token());
  }
  if (context.json()) return absl::OkStatus();
  if (shown == 0) {
    context.out().Line("no objects");
    return absl::OkStatus();
  }
  if (!table.empty()) table.Print(context.out());
  if (more && !context.quiet()) {
    context.err().Line(context.err().Paint(
        "first " + std::to_string(shown) + "; --limit N or --all shows more", Tone::kDim));
  }
  return absl::OkStatus();
}

absl::Status Count(Context& context) {
  v1::CountObjectsRequest request;
  request.set_namespace_(context.name_space());
  request.set_collection(context.collection());
  if (context.args().Has("where")) {
    COOKIX_RETURN_IF_ERROR(FillWhere(context, request.mutable_filter()).status());
  }
  COOKIX_RETURN_IF_ERROR(FillRead(context, request.mutable_options()));
  v1::CountObjectsResponse response;
  COOKIX_CALL(context, CountObjects, request, &response);
  context.Answer(response, [&] { context.out().Line(std::to_string(response.count())); });
  return absl::OkStatus();
}

std::vector<FlagSpec> ObjectFlags() {
  return {{"content", "TEXT", "the text"},
          {"prop", "NAME=VALUE", "a property: number, true, false, JSON or text", 'p', true},
          {"label", "NAME", "a label", 'l', true},
          {"edge", "REL:TARGET[:WEIGHT]", "an outgoing edge", 'e', true},
          {"vector", "FIELD=VECTOR", "a vector, as in `search`, or FIELD=@FILE", 0, true},
          {"ttl", "DURATION", "expire after this time, 0 = never"}};
}

}  // namespace

std::vector<Command> ObjectCommands() {
  const PositionalSpec key{"KEY", "the object's key"};
  return {
      {"put",
       {"bake"},
       "put an object, with edges if given",
       {{"KEY", "the object's key, or - to read JSON from standard input", true}},
       Join({ObjectFlags(),
             {{"file", "FILE", "read the object as JSON; - is standard input", 'f'},
              {"replace-edges", "", "the given edges replace all outgoing ones"}},
             ConditionFlags(),
             {CollectionFlag(), TargetCollectionFlag()},
             WriteFlags()}),
       {"cookix put umbrella --content 'blocks rain' --edge prevents:rain",
        "cookix put pump --prop size=12 --prop rated=true -p 'tags=[\"steel\",\"dn50\"]' -l part",
        "cookix put session --ttl 60s --if-absent",
        "echo '{\"key\":\"rain\",\"edges\":[{\"relation\":\"causes\",\"target\":\"mud\"}]}' | "
        "cookix put -"},
       Put},
      {"get",
       {},
       "read objects",
       {{"KEY", "the key of an object", false, true}},
       Join({{{"vectors", "", "with vectors"}, CollectionFlag()}, ReadFlags()}),
       {"cookix get umbrella", "cookix get umbrella rain --json"},
       Get},
      {"patch",
       {"re_glaze"},
       "change parts of an object",
       {key},
       Join({ObjectFlags(),
             {{"remove-prop", "NAME", "remove a property", 0, true},
              {"remove-label", "NAME", "remove a label", 0, true},
              {"remove-vector", "FIELD", "remove a vector", 0, true}},
             ConditionFlags(),
             {CollectionFlag(), TargetCollectionFlag()},
             WriteFlags()}),
       {"cookix patch umbrella --prop colour=red --remove-label new",
        "cookix patch umbrella --content 'blocks rain and sun' --if-version 7"},
       Patch},
      {"delete",
       {"crumble"},
       "delete objects with their edges",
       {{"KEY", "the key of an object", false, true}},
       Join({{{"leave-dangling", "", "keep incoming edges; the object becomes a bare target"},
              CollectionFlag()},
             ConditionFlags(),
             WriteFlags()}),
       {"cookix delete umbrella", "cookix delete rain --leave-dangling"},
       Delete},
      {"scan",
       {"lick"},
       "list the objects of a collection in key order",
       {},
       Join({{{"prefix", "TEXT", "only keys that start with this"},
              {"start", "KEY", "only keys at or after this"},
              {"end", "KEY", "only keys before this"},
              WhereFlag(),
              LimitFlag("how many (default 20)"),
              {"all", "", "all of them"},
              {"reverse", "", "from the last key to the first"},
              {"vectors", "", "with vectors"},
              CollectionFlag()},
             ReadFlags()}),
       {"cookix scan --prefix lib --limit 50",
        "cookix scan --where 'size > 1000000 AND section = \"games\"' --json --all"},
       Scan},
      {"count",
       {},
       "count objects",
       {},
       Join({{WhereFlag(), CollectionFlag()}, ReadFlags()}),
       {"cookix count", "cookix count --where 'EXISTS homepage'"},
       Count},
  };
}

}  // namespace cookix::cli
