// namespaces, collections, relations.
#include <limits>
#include <map>

#include "storage/base/status.h"
#include "tools/cli/command.h"
#include "tools/cli/render.h"
#include "tools/cli/requests.h"
#include "tools/cli/search_arguments.h"
#include "tools/cli/search_render.h"
#include "tools/cli/text_width.h"
#include "tools/cli/vector_arguments.h"

namespace cookix::cli {
namespace {

std::string LabelText(const google::protobuf::Map<std::string, std::string>& labels) {
  std::string text;
  for (const auto& [name, value] :
       std::map<std::string, std::string>(labels.begin(), labels.end())) {
    text += (text.empty() ? "" : ", ") + name + "=" + value;
  }
  return text;
}

absl::StatusOr<std::pair<std::string, std::string>> ParseLabel(const std::string& text) {
  const size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0) {
    return UsageError("a label is name=value, not \"" + text + "\"", "LABEL",
                      "write team=search, or --remove team");
  }
  return std::make_pair(text.substr(0, equals), text.substr(equals + 1));
}

absl::Status ListNamespaces(Context& context) {
  Table table({{"NAMESPACE", false, Tone::kBold},
               {"OBJECTS", true},
               {"EDGES", true},
               {"LABELS", false, Tone::kDim},
               {"DESCRIPTION"}});
  Json list = Json::array();
  v1::ListNamespacesRequest request;
  request.set_page_size(1000);
  v1::ListNamespacesResponse response;
  do {
    request.set_page_token(response.next_page_token());
    COOKIX_CALL(context, ListNamespaces, request, &response);
    for (const v1::Namespace& item : response.namespaces()) {
      if (context.json()) list.push_back(ToJson(item));
      table.Add({item.name(), WithCommas(item.object_count()), WithCommas(item.edge_count()),
                 LabelText(item.labels()), item.description()});
    }
  } while (!response.next_page_token().empty());
  if (context.json()) {
    context.out().JsonLine(list);
  } else {
    table.Print(context.out());
  }
  return absl::OkStatus();
}

absl::Status CreateNamespace(Context& context) {
  v1::CreateNamespaceRequest request;
  request.mutable_namespace_()->set_name(context.args().Positional(0));
  request.mutable_namespace_()->set_description(context.args().Get("description"));
  for (const std::string& text : context.args().GetAll("label")) {
    COOKIX_ASSIGN_OR_RETURN(auto label, ParseLabel(text));
    (*request.mutable_namespace_()->mutable_labels())[label.first] = label.second;
  }
  request.set_if_not_exists(context.args().Has("if-not-exists"));
  v1::CreateNamespaceResponse response;
  COOKIX_CALL(context, CreateNamespace, request, &response);
  context.Answer(response, [&] {
    if (!context.quiet()) {
      context.out().Line((response.created() ? "created " : "exists ") +
                         OneLine(response.namespace_().name()));
    }
  });
  return absl::OkStatus();
}

absl::Status DeleteNamespace(Context& context) {
  v1::DeleteNamespaceRequest request;
  request.set_namespace_(context.args().Positional(0));
  request.set_force(context.args().Has("force"));
  v1::DeleteNamespaceResponse response;
  COOKIX_CALL(context, DeleteNamespace, request, &response);
  context.Answer(response, [&] {
    if (!context.quiet()) context.out().Line("deleted " + OneLine(request.namespace_()));
  });
  return absl::OkStatus();
}

absl::Status CopyObjects(Context& context) {
  const Arguments& args = context.args();
  v1::CopyObjectsRequest request;
  request.set_namespace_(args.Positional(0));
  request.set_target_namespace(args.Positional(1));
  request.set_collection(context.collection());
  request.set_key_prefix(args.Get("prefix"));
  if (args.Has("new-prefix")) request.set_target_key_prefix(args.Get("new-prefix"));
  request.set_overwrite(args.Has("overwrite"));
  COOKIX_RETURN_IF_ERROR(FillWrite(context, request.mutable_options()));
  v1::CopyObjectsResponse response;
  COOKIX_CALL(context, CopyObjects, request, &response);
  context.Answer(response, [&] {
    context.out().Line("copied " + WithCommas(response.objects()) + " objects and " +
                       WithCommas(response.edges()) + " edges; " +
                       WithCommas(response.edges_outside()) +
                       " edges lead outside the copy and were left out");
  });
  return absl::OkStatus();
}

absl::Status NamespaceLabels(Context& context) {
  const auto& words = context.args().positionals();
  const auto removed = context.args().GetAll("remove");
  v1::Namespace result;
  if (words.size() == 1 && removed.empty() && !context.args().Has("description")) {
    v1::GetNamespaceRequest request;
    request.set_namespace_(words[0]);
    v1::GetNamespaceResponse response;
    COOKIX_CALL(context, GetNamespace, request, &response);
    result = response.namespace_();
  } else {
    v1::UpdateNamespaceRequest request;
    request.set_namespace_(words[0]);
    for (size_t i = 1; i < words.size(); ++i) {
      COOKIX_ASSIGN_OR_RETURN(auto label, ParseLabel(words[i]));
      (*request.mutable_set_labels())[label.first] = label.second;
    }
    for (const std::string& name : removed) request.add_remove_labels(name);
    if (context.args().Has("description"))
      request.set_description(context.args().Get("description"));
    v1::UpdateNamespaceResponse response;
    COOKIX_CALL(context, UpdateNamespace, request, &response);
    result = response.namespace_();
  }
  context.Answer(result, [&] {
    Table table({{"LABEL", false, Tone::kBold}, {"VALUE"}});
    const Json labels = ToJson(result).value("labels", Json::object());
    for (const auto& [name, value] : labels.items()) {
      table.Add({name, value.get<std::string>()});
    }
    if (table.empty()) {
      context.out().Line("no labels");
    } else {
      table.Print(context.out());
    }
  });
  return absl::OkStatus();
}

absl::Status ListCollections(Context& context) {
  Table table({{"COLLECTION", false, Tone::kBold},
               {"OBJECTS", true},
               {"CREATED", false, Tone::kDim},
               {"VECTORS"},
               {"TEXTS"},
               {"DESCRIPTION"}});
  Json list = Json::array();
  v1::ListCollectionsRequest request;
  request.set_namespace_(context.name_space());
  request.set_page_size(1000);
  v1::ListCollectionsResponse response;
  do {
    request.set_page_token(response.next_page_token());
    COOKIX_CALL(context, ListCollections, request, &response);
    for (const v1::Collection& item : response.collections()) {
      if (context.json()) list.push_back(ToJson(item));
      std::string vectors;
      for (const v1::VectorField& field : item.vector_fields()) {
        vectors += (vectors.empty() ? "" : ", ") + field.name() + "(" +
                   std::to_string(field.dimension()) + ")";
      }
      std::string texts;
      for (const v1::TextField& field : item.text_fields()) {
        texts += (texts.empty() ? "" : ", ") + field.name();
      }
      table.Add({item.name(), WithCommas(item.object_count()), TimeText(item.created_ms()), vectors,
                 texts, item.description()});
    }
  } while (!response.next_page_token().empty());
  if (context.json()) {
    context.out().JsonLine(list);
  } else {
    table.Print(context.out());
  }
  return absl::OkStatus();
}

absl::Status CreateCollection(Context& context) {
  v1::CreateCollectionRequest request;
  request.set_namespace_(context.name_space());
  request.mutable_collection()->set_name(context.args().Positional(0));
  request.mutable_collection()->set_description(context.args().Get("description"));
  for (const std::string& name : context.args().GetAll("unindexed")) {
    request.mutable_collection()->add_unindexed_fields(name);
  }
  for (const std::string& text : context.args().GetAll("vector")) {
    COOKIX_ASSIGN_OR_RETURN(*request.mutable_collection()->add_vector_fields(),
                            ParseVectorField(text, false));
  }
  for (const std::string& text : context.args().GetAll("text-field")) {
    COOKIX_ASSIGN_OR_RETURN(*request.mutable_collection()->add_text_fields(), ParseTextField(text));
  }
  request.set_if_not_exists(context.args().Has("if-not-exists"));
  v1::CreateCollectionResponse response;
  COOKIX_CALL(context, CreateCollection, request, &response);
  context.Answer(response, [&] {
    if (!context.quiet()) {
      context.out().Line((response.created() ? "created " : "exists ") +
                         OneLine(response.collection().name()));
    }
  });
  return absl::OkStatus();
}

absl::Status UpdateCollection(Context& context) {
  const Arguments& args = context.args();
  v1::UpdateCollectionRequest request;
  request.set_namespace_(context.name_space());
  request.set_collection(args.Positional(0));
  if (args.Has("description")) request.set_description(args.Get("description"));
  for (const std::string& text : args.GetAll("vector")) {
    COOKIX_ASSIGN_OR_RETURN(*request.add_put_vector_fields(), ParseVectorField(text, true));
  }
  for (const std::string& name : args.GetAll("remove-vector")) {
    request.add_remove_vector_fields(name);
  }
  for (const std::string& text : args.GetAll("text-field")) {
    COOKIX_ASSIGN_OR_RETURN(*request.add_put_text_fields(), ParseTextField(text));
  }
  for (const std::string& name : args.GetAll("remove-text-field")) {
    request.add_remove_text_fields(name);
  }
  if (!request.has_description() && request.put_vector_fields().empty() &&
      request.remove_vector_fields().empty() && request.put_text_fields().empty() &&
      request.remove_text_fields().empty()) {
    return UsageError("there is nothing to change", "--vector",
                      "give --vector, --text-field, what to remove, or --description");
  }
  COOKIX_RETURN_IF_ERROR(FillWrite(context, request.mutable_options()));
  v1::UpdateCollectionResponse response;
  COOKIX_CALL(context, UpdateCollection, request, &response);
  context.Answer(response, [&] {
    if (!context.quiet()) context.out().Line("updated " + OneLine(response.collection().name()));
  });
  return absl::OkStatus();
}

absl::Status ShowCollection(Context& context) {
  v1::GetCollectionRequest request;
  request.set_namespace_(context.name_space());
  request.set_collection(context.args().Positional(0));
  v1::GetCollectionResponse response;
  COOKIX_CALL(context, GetCollection, request, &response);
  const v1::Collection& collection = response.collection();
  std::vector<v1::DescribeIndexResponse> indexes;
  for (const v1::VectorField& field : collection.vector_fields()) {
    v1::DescribeIndexRequest describe;
    describe.set_namespace_(context.name_space());
    describe.set_collection(request.collection());
    describe.set_field(field.name());
    COOKIX_CALL(context, DescribeIndex, describe, &indexes.emplace_back());
  }
  v1::DescribeIndexResponse texts;
  if (!collection.text_fields().empty()) {
    v1::DescribeIndexRequest describe;
    describe.set_namespace_(context.name_space());
    describe.set_collection(request.collection());
    describe.set_text(true);
    COOKIX_CALL(context, DescribeIndex, describe, &texts);
  }
  if (context.json()) {
    Json document = ToJson(response);
    document["indexes"] = Json::array();
    for (const v1::DescribeIndexResponse& index : indexes) {
      document["indexes"].push_back(ToJson(index));
    }
    if (!collection.text_fields().empty()) document["text_index"] = ToJson(texts);
    context.out().JsonLine(document);
    return absl::OkStatus();
  }
  Terminal& out = context.out();
  auto line = [&out](std::string_view name, const std::string& value) {
    std::string padded(name);
    padded.resize(12, ' ');
    out.Line(out.Paint(padded, Tone::kDim) + value);
  };
  out.Line(out.Paint(OneLine(collection.name()), Tone::kBold));
  if (!collection.description().empty()) line("description", OneLine(collection.description()));
  line("objects", WithCommas(collection.object_count()));
  line("created", TimeText(collection.created_ms()));
  std::string unindexed;
  for (const std::string& name : collection.unindexed_fields()) {
    unindexed += (unindexed.empty() ? "" : ", ") + name;
  }
  if (!unindexed.empty()) line("unindexed", OneLine(unindexed));
  if (!texts.text_fields().empty()) {
    line("text index", texts.state() + ", " + WithCommas(texts.vectors()) + " objects, " +
                           HumanBytes(texts.memory_bytes()));
    out.Line();
    PrintTextFields(texts.text_fields(), out);
  }
  if (indexes.empty()) return absl::OkStatus();
  out.Line();
  Table table({{"VECTOR", false, Tone::kBold},
               {"DIM", true},
               {"METRIC"},
               {"INDEX"},
               {"QUANTIZATION"},
               {"VECTORS", true},
               {"STATE"},
               {"SETTINGS", false, Tone::kDim}});
  for (const v1::DescribeIndexResponse& index : indexes) {
    const v1::VectorField& field = index.field();
    table.Add({field.name(), field.dimension() == 0 ? "sparse" : WithCommas(field.dimension()),
               MetricText(field.metric()), IndexKindText(field.index()),
               QuantizationText(field.quantization()), WithCommas(index.vectors()), index.state(),
               SettingsText(field)});
  }
  table.Print(out);
  return absl::OkStatus();
}

absl::Status DeleteCollection(Context& context) {
  v1::DeleteCollectionRequest request;
  request.set_namespace_(context.name_space());
  request.set_collection(context.args().Positional(0));
  request.set_force(context.args().Has("force"));
  v1::DeleteCollectionResponse response;
  COOKIX_CALL(context, DeleteCollection, request, &response);
  context.Answer(response, [&] {
    if (!context.quiet()) context.out().Line("deleted " + OneLine(request.collection()));
  });
  return absl::OkStatus();
}

absl::Status ListRelations(Context& context) {
  Table table({{"RELATION", false, Tone::kRelation},
               {"EDGES", true},
               {"INVERSE"},
               {"ALGEBRA", false, Tone::kDim},
               {"DESCRIPTION"}});
  Json list = Json::array();
  v1::ListRelationsRequest request;
  request.set_namespace_(context.name_space());
  v1::ListRelationsResponse response;
  do {
    request.set_page_token(response.next_page_token());
    COOKIX_CALL(context, ListRelations, request, &response);
    for (const v1::Relation& item : response.relations()) {
      if (context.args().Has("used") && item.edge_count() == 0) continue;
      if (context.json()) list.push_back(ToJson(item));
      std::string algebra;
      for (const auto& [set, word] :
           {std::pair{item.symmetric(), "symmetric"}, std::pair{item.transitive(), "transitive"},
            std::pair{item.built_in(), "built in"}, std::pair{!item.registered(), "free"}}) {
        if (set) algebra += (algebra.empty() ? "" : ", ") + std::string(word);
      }
      table.Add({item.name(), WithCommas(item.edge_count()), item.inverse(), algebra,
                 item.description()});
    }
  } while (!response.next_page_token().empty());
  if (context.json()) {
    context.out().JsonLine(list);
  } else {
    table.Print(context.out());
  }
  return absl::OkStatus();
}

absl::Status PutRelation(Context& context) {
  const Arguments& args = context.args();
  v1::PutRelationRequest request;
  request.set_namespace_(context.name_space());
  v1::Relation* relation = request.mutable_relation();
  relation->set_name(args.Positional(0));
  relation->set_inverse(args.Get("inverse"));
  relation->set_symmetric(args.Has("symmetric"));
  relation->set_transitive(args.Has("transitive"));
  relation->set_description(args.Get("description"));
  for (const std::string& word : args.GetAll("asked-by")) relation->add_asked_by(word);
  v1::PutRelationResponse response;
  COOKIX_CALL(context, PutRelation, request, &response);
  context.Answer(response, [&] {
    if (!context.quiet()) context.out().Line("registered " + OneLine(relation->name()));
  });
  return absl::OkStatus();
}

absl::Status DeleteRelation(Context& context) {
  v1::DeleteRelationRequest request;
  request.set_namespace_(context.name_space());
  request.set_name(context.args().Positional(0));
  v1::DeleteRelationResponse response;
  COOKIX_CALL(context, DeleteRelation, request, &response);
  context.Answer(response, [&] {
    if (!context.quiet()) context.out().Line("removed the algebra of " + OneLine(request.name()));
  });
  return absl::OkStatus();
}

}  // namespace

std::vector<Command> CatalogCommands() {
  const PositionalSpec name{"NAME", "the name"};
  const FlagSpec force{"force", "", "even when it has objects"};
  const FlagSpec if_not_exists{"if-not-exists", "", "an existing one is not an error"};
  const FlagSpec description{"description", "TEXT", "what it is for"};
  return {
      {"namespaces list",
       {"namespaces"},
       "list the namespaces",
       {},
       {},
       {"cookix namespaces list"},
       ListNamespaces},
      {"namespaces create",
       {},
       "create a namespace",
       {name},
       {description, {"label", "NAME=VALUE", "a label", 'l', true}, if_not_exists},
       {"cookix namespaces create team_a --label owner=search"},
       CreateNamespace},
      {"namespaces delete",
       {},
       "delete a namespace with all it holds",
       {name},
       {force},
       {"cookix namespaces delete team_a --force"},
       DeleteNamespace},
      {"namespaces copy",
       {},
       "copy objects and the edges among them into another namespace",
       {{"FROM", "the namespace copied from"}, {"TO", "the namespace copied to"}},
       Join({{{"prefix", "TEXT", "only keys that start with this"},
              {"new-prefix", "TEXT", "replaces the prefix in the copies"},
              {"overwrite", "", "overwrite objects that exist"},
              CollectionFlag()},
             WriteFlags()}),
       {"cookix namespaces copy default backup --prefix pump"},
       CopyObjects},
      {"namespaces labels",
       {},
       "show or set the labels of a namespace",
       {name, {"LABEL", "name=value to set", true, true}},
       {{"remove", "NAME", "remove a label", 0, true}, description},
       {"cookix namespaces labels team_a",
        "cookix namespaces labels team_a tier=gold --remove old"},
       NamespaceLabels},
      {"collections list",
       {"collections"},
       "list the collections of a namespace",
       {},
       {},
       {"cookix collections list -n team_a"},
       ListCollections},
      {"collections create",
       {},
       "create a collection",
       {name},
       {description,
        {"vector", "SPEC",
         "a vector field, NAME:DIM[:METRIC][:INDEX][:QUANTIZATION][:SETTING=VALUE]…; see `cookix "
         "help vector-fields`",
         0, true},
        {"text-field", "SPEC",
         "a text field, NAME[:LANGUAGE][:BOOST][:SETTING]…; see `cookix help text-fields`", 0,
         true},
        {"unindexed", "FIELD", "a property that is not indexed", 0, true},
        if_not_exists},
       {"cookix collections create docs --text-field title:en:2 --text-field content:en",
        "cookix collections create parts --vector shape:384:cosine",
        "cookix collections create big --vector image:768:cosine:cells:cells_probed=64"},
       CreateCollection},
      {"collections update",
       {},
       "add, change or remove the vector and text fields of a collection",
       {name},
       Join({{{"vector", "SPEC",
               "a vector field to add, as in `collections create`, or what changes of one, such as "
               "shape:ef_search=128",
               0, true},
              {"remove-vector", "NAME", "a vector field to remove with all its vectors", 0, true},
              {"text-field", "SPEC",
               "a text field to add, as in `collections create`, or what changes of one, such as "
               "title:3",
               0, true},
              {"remove-text-field", "NAME", "a text field to remove; the texts stay", 0, true},
              description},
             WriteFlags()}),
       {"cookix collections update parts --vector colour:12:l2:flat",
        "cookix collections update parts --vector shape:ef_search=128 --remove-vector old",
        "cookix collections update docs --text-field title:3:by-name"},
       UpdateCollection},
      {"collections show",
       {},
       "show a collection, its vector and text fields and their indexes",
       {name},
       {},
       {"cookix collections show parts"},
       ShowCollection},
      {"collections delete",
       {},
       "delete a collection with its objects",
       {name},
       {force},
       {"cookix collections delete parts --force"},
       DeleteCollection},
      {"relations list",
       {"relations"},
       "list the relation vocabulary",
       {},
       {{"used", "", "only those that edges use"}},
       {"cookix relations list --used"},
       ListRelations},
      {"relations put",
       {},
       "register a relation",
       {name},
       {{"inverse", "NAME", "the relation the other way round"},
        {"symmetric", "", "holds in both directions"},
        {"transitive", "", "declared transitive"},
        description,
        {"asked-by", "WORDS", "words that questions use for it", 0, true}},
       {"cookix relations put feeds --inverse fed_by"},
       PutRelation},
      {"relations delete",
       {},
       "remove the algebra of a relation",
       {name},
       {},
       {"cookix relations delete feeds"},
       DeleteRelation},
  };
}

}  // namespace cookix::cli
