// link, unlink, edge, neighbors, traverse, path.
#include <limits>

#include "storage/base/status.h"
#include "tools/cli/command.h"
#include "tools/cli/render.h"
#include "tools/cli/requests.h"
#include "tools/cli/text_width.h"

namespace cookix::cli {
namespace {

constexpr int64_t kMax = std::numeric_limits<int64_t>::max();

absl::Status Link(Context& context) {
  const Arguments& args = context.args();
  v1::PutEdgeRequest request;
  request.set_namespace_(context.name_space());
  v1::Edge* edge = request.mutable_edge();
  *edge->mutable_source() = context.Ref(args.Positional(0));
  edge->set_relation(args.Positional(1));
  *edge->mutable_target() = context.TargetRef(args.Positional(2));
  edge->set_discriminator(args.Get("discriminator"));
  if (args.Has("weight")) {
    COOKIX_ASSIGN_OR_RETURN(double weight, args.GetDouble("weight", 1.0));
    edge->set_weight(weight);
  }
  for (const std::string& text : args.GetAll("prop")) {
    COOKIX_ASSIGN_OR_RETURN(auto property, ParseProperty(text));
    (*edge->mutable_properties())[property.first] = std::move(property.second);
  }
  COOKIX_ASSIGN_OR_RETURN(int64_t from, args.GetInt("valid-from", 0, 0, kMax));
  COOKIX_ASSIGN_OR_RETURN(int64_t until, args.GetInt("valid-until", 0, 0, kMax));
  edge->set_valid_from_ms(from);
  edge->set_valid_until_ms(until);
  COOKIX_RETURN_IF_ERROR(FillWrite(context, request.mutable_options()));
  v1::PutEdgeResponse response;
  COOKIX_CALL(context, PutEdge, request, &response);
  context.Answer(response, [&] {
    if (context.quiet()) return;
    context.out().Line((response.created() ? "linked " : "updated ") + RefText(edge->source()) +
                       " --[" + context.out().Paint(OneLine(edge->relation()), Tone::kRelation) +
                       "]--> " + RefText(edge->target()));
  });
  return absl::OkStatus();
}

absl::Status Unlink(Context& context) {
  const Arguments& args = context.args();
  v1::DeleteEdgeRequest request;
  request.set_namespace_(context.name_space());
  v1::EdgeDelete* edge = request.mutable_delete_();
  *edge->mutable_source() = context.Ref(args.Positional(0));
  edge->set_relation(args.Positional(1));
  *edge->mutable_target() = context.TargetRef(args.Positional(2));
  edge->set_discriminator(args.Get("discriminator"));
  COOKIX_RETURN_IF_ERROR(FillWrite(context, request.mutable_options()));
  v1::DeleteEdgeResponse response;
  COOKIX_CALL(context, DeleteEdge, request, &response);
  context.Answer(response, [&] {
    if (!context.quiet()) context.out().Line(response.existed() ? "unlinked" : "not there");
  });
  return absl::OkStatus();
}

absl::Status GetEdge(Context& context) {
  const Arguments& args = context.args();
  v1::GetEdgeRequest request;
  request.set_namespace_(context.name_space());
  *request.mutable_source() = context.Ref(args.Positional(0));
  request.set_relation(args.Positional(1));
  *request.mutable_target() = context.TargetRef(args.Positional(2));
  request.set_discriminator(args.Get("discriminator"));
  COOKIX_RETURN_IF_ERROR(FillRead(context, request.mutable_options()));
  v1::GetEdgeResponse response;
  COOKIX_CALL(context, GetEdge, request, &response);
  context.Answer(response.edge(), [&] {
    const v1::Edge& edge = response.edge();
    Table table({{"FIELD", false, Tone::kDim}, {"VALUE"}});
    table.Add({"source", RefText(edge.source())});
    table.Add({"relation", edge.relation()});
    table.Add({"target", RefText(edge.target())});
    table.Add({"weight", NumberText(edge.weight())});
    const Json properties = ToJson(edge).value("properties", Json::object());
    for (const auto& [name, value] : properties.items()) {
      table.Add({name, Dump(value)});
    }
    if (edge.valid_from_ms() != 0) table.Add({"valid from", TimeText(edge.valid_from_ms())});
    if (edge.valid_until_ms() != 0) table.Add({"valid until", TimeText(edge.valid_until_ms())});
    table.Add({"version", std::to_string(edge.version())});
    table.Print(context.out());
  });
  return absl::OkStatus();
}

absl::Status Neighbors(Context& context) {
  const Arguments& args = context.args();
  v1::ListNeighborsRequest request;
  request.set_namespace_(context.name_space());
  *request.mutable_ref() = context.Ref(args.Positional(0));
  COOKIX_ASSIGN_OR_RETURN(v1::Direction direction, DirectionOf(context));
  request.set_direction(direction);
  for (const std::string& name : args.GetAll("relation")) request.add_relations(name);
  request.set_with_virtual(args.Has("virtual"));
  request.set_with_objects(true);
  if (args.Has("where")) {
    COOKIX_RETURN_IF_ERROR(FillWhere(context, request.mutable_filter()).status());
  }
  COOKIX_RETURN_IF_ERROR(FillRead(context, request.mutable_options()));
  COOKIX_ASSIGN_OR_RETURN(int64_t limit, args.GetInt("limit", 50, 1, kMax));
  request.set_page_size(static_cast<int32_t>(std::min<int64_t>(limit, 1000)));
  Table table({{"", false, Tone::kDim},
               {"RELATION", false, Tone::kRelation},
               {"NEIGHBOR", false, Tone::kBold},
               {"WEIGHT", true},
               {"NOTE", false, Tone::kDim},
               {"CONTENT"}});
  int64_t shown = 0;
  bool more = true;
  while (more && shown < limit) {
    v1::ListNeighborsResponse response;
    COOKIX_CALL(context, ListNeighbors, request, &response);
    more = !response.next_page_token().empty();
    for (const v1::Neighbor& neighbor : response.neighbors()) {
      if (shown == limit) {
        more = true;
        break;
      }
      ++shown;
      if (context.json()) {
        context.out().JsonLine(ToJson(neighbor));
        continue;
      }
      const bool dangling = neighbor.object().dangling();
      table.Add({neighbor.direction() == v1::DIRECTION_IN ? "←" : "→",
                 neighbor.virtual_() ? neighbor.virtual_relation() : neighbor.edge().relation(),
                 RefText(neighbor.ref()), NumberText(neighbor.edge().weight()),
                 neighbor.virtual_() ? "virtual" : (dangling ? "not put yet" : ""),
                 neighbor.object().content()});
    }
    request.set_page_token(response.next_page_token());
  }
  if (context.json()) return absl::OkStatus();
  if (shown == 0) {
    context.out().Line("no edges");
    return absl::OkStatus();
  }
  table.Print(context.out());
  if (more && !context.quiet()) {
    context.err().Line(context.err().Paint(
        "first " + std::to_string(shown) + "; --limit N shows more", Tone::kDim));
  }
  return absl::OkStatus();
}

absl::Status Traverse(Context& context) {
  const Arguments& args = context.args();
  v1::TraverseRequest request;
  request.set_namespace_(context.name_space());
  *request.mutable_start() = context.Ref(args.Positional(0));
  request.set_order(args.Has("dfs") ? v1::TRAVERSAL_ORDER_DEPTH_FIRST
                                    : v1::TRAVERSAL_ORDER_BREADTH_FIRST);
  COOKIX_ASSIGN_OR_RETURN(v1::Direction direction, DirectionOf(context));
  request.set_direction(direction);
  COOKIX_RETURN_IF_ERROR(FillSteps(context, request.mutable_steps()));
  COOKIX_ASSIGN_OR_RETURN(int64_t depth, args.GetInt("depth", 3, 0, 64));
  request.set_max_depth(static_cast<int32_t>(depth));
  COOKIX_ASSIGN_OR_RETURN(int64_t limit, args.GetInt("limit", 100, 1, 100'000));
  request.set_limit(static_cast<int32_t>(limit));
  request.set_with_objects(args.Has("objects"));
  COOKIX_RETURN_IF_ERROR(FillRead(context, request.mutable_options()));
  v1::TraverseResponse response;
  COOKIX_CALL(context, Traverse, request, &response);
  context.Answer(response, [&] {
    Terminal& out = context.out();
    // A tree reads well depth first; breadth first is printed as a list.
    for (const v1::Visit& visit : response.visits()) {
      if (visit.parent() < 0) {
        out.Line(out.Paint(RefText(visit.ref()), Tone::kBold));
        continue;
      }
      const v1::PathStep& via = visit.via();
      std::string line = args.Has("dfs")
                             ? std::string(static_cast<size_t>(visit.depth() - 1) * 3, ' ') + "└─ "
                             : out.Paint(std::to_string(visit.depth()) + "  ", Tone::kDim) +
                                   RefText(response.visits(visit.parent()).ref()) + " ─ ";
      const bool backwards = Backwards(via, response.visits(visit.parent()).ref());
      line += out.Paint(OneLine(StepName(via)), Tone::kRelation) + (backwards ? " ◂ " : " ▸ ") +
              RefText(visit.ref());
      if (via.virtual_()) line += out.Paint("  (virtual)", Tone::kDim);
      out.Line(line);
    }
    if (!context.quiet()) {
      context.err().Line(
          context.err().Paint(WithCommas(response.visits_size()) + " objects" +
                                  (response.truncated() ? " (more: raise --limit)" : "") + ", " +
                                  WithCommas(response.edges_examined()) + " edges examined",
                              Tone::kDim));
    }
  });
  return absl::OkStatus();
}

absl::Status FindPath(Context& context) {
  const Arguments& args = context.args();
  v1::FindPathRequest request;
  request.set_namespace_(context.name_space());
  *request.mutable_source() = context.Ref(args.Positional(0));
  *request.mutable_target() = context.TargetRef(args.Positional(1));
  const std::string by = args.Get("by", "hops");
  if (by != "hops" && by != "weight") {
    return UsageError("--by is \"" + by + "\"", "--by", "use hops or weight");
  }
  request.set_metric(by == "hops" ? v1::PATH_METRIC_HOPS : v1::PATH_METRIC_WEIGHT);
  COOKIX_ASSIGN_OR_RETURN(v1::Direction direction, DirectionOf(context));
  request.set_direction(direction);
  COOKIX_RETURN_IF_ERROR(FillSteps(context, request.mutable_steps()));
  COOKIX_ASSIGN_OR_RETURN(int64_t hops, args.GetInt("max-hops", 0, 0, 1'000'000));
  request.set_max_hops(static_cast<int32_t>(hops));
  COOKIX_RETURN_IF_ERROR(FillRead(context, request.mutable_options()));
  v1::FindPathResponse response;
  COOKIX_CALL(context, FindPath, request, &response);
  context.Answer(response, [&] {
    if (!response.found()) {
      context.out().Line("no path: " + OneLine(response.reason()));
      return;
    }
    PrintPath(request.source(), response.path(), context.out());
    if (!context.quiet()) {
      context.err().Line(
          context.err().Paint(std::to_string(response.path().steps_size()) + " hops, weight " +
                                  NumberText(response.path().weight()) + ", " +
                                  WithCommas(response.objects_examined()) + " objects examined",
                              Tone::kDim));
    }
  });
  return absl::OkStatus();
}

}  // namespace

std::vector<Command> GraphCommands() {
  const std::vector<PositionalSpec> edge = {{"SOURCE", "the key the edge starts at"},
                                            {"RELATION", "the relation"},
                                            {"TARGET", "the key the edge points at"}};
  const FlagSpec discriminator{"discriminator", "TEXT",
                               "tells apart edges of one relation between the same two"};
  return {
      {"link",
       {},
       "put an edge",
       edge,
       Join({{{"weight", "W", "cost of following it, at least 0 (default 1)", 'w'},
              {"prop", "NAME=VALUE", "a property of the edge", 'p', true},
              discriminator,
              {"valid-from", "MS", "start of validity, Unix milliseconds"},
              {"valid-until", "MS", "end of validity"},
              CollectionFlag(),
              TargetCollectionFlag()},
             WriteFlags()}),
       {"cookix link umbrella prevents rain", "cookix link a depends_on b --weight 0.5"},
       Link},
      {"unlink",
       {},
       "delete an edge",
       edge,
       Join({{discriminator, CollectionFlag(), TargetCollectionFlag()}, WriteFlags()}),
       {"cookix unlink umbrella prevents rain"},
       Unlink},
      {"edge",
       {},
       "read an edge",
       edge,
       Join({{discriminator, CollectionFlag(), TargetCollectionFlag()}, ReadFlags()}),
       {"cookix edge umbrella prevents rain"},
       GetEdge},
      {"neighbors",
       {"neighbours"},
       "list the edges at an object",
       {{"KEY", "the object's key"}},
       Join({{DirectionFlag(),
              {"relation", "NAME", "only these relations", 'r', true},
              {"virtual", "", "also inverses and the other direction of symmetric relations"},
              WhereFlag(),
              LimitFlag("how many (default 50)"),
              CollectionFlag()},
             ReadFlags()}),
       {"cookix neighbors rain --direction both", "cookix neighbors rain -r causes --virtual"},
       Neighbors},
      {"traverse",
       {},
       "walk from an object, breadth or depth first",
       {{"KEY", "where the walk starts"}},
       Join({{{"depth", "N", "greatest depth (default 3)", 'd'},
              {"dfs", "", "depth first, printed as a tree"},
              DirectionFlag(),
              {"objects", "", "with the objects, in JSON"},
              LimitFlag("objects at most (default 100)"),
              CollectionFlag()},
             StepFlags(),
             ReadFlags()}),
       {"cookix traverse umbrella --depth 4", "cookix traverse rain --dfs -r causes"},
       Traverse},
      {"path",
       {},
       "find a shortest path between two objects",
       {{"SOURCE", "where the path starts"}, {"TARGET", "where it ends"}},
       Join({{{"by", "hops|weight", "what is minimised (default hops)"},
              {"max-hops", "N", "most hops (default no limit)"},
              DirectionFlag(),
              CollectionFlag(),
              TargetCollectionFlag()},
             StepFlags(),
             ReadFlags()}),
       {"cookix path umbrella wet_coat", "cookix path a b --by weight -r depends -r provided_by"},
       FindPath},
  };
}

}  // namespace cookix::cli
