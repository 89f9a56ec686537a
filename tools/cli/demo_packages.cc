// demo packages: Debian's package index as a knowledge graph.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <map>
#include <set>
#include <utility>

#include "storage/base/status.h"
#include "tools/cli/debian_version.h"
#include "tools/cli/demo_stage.h"
#include "tools/cli/package_index.h"
#include "tools/cli/render.h"
#include "tools/cli/text_width.h"

namespace cookix::cli {
namespace {

constexpr int kObjectsOfBatch = 500;
constexpr char kIndexLabel[] = "package_index";

using Entry = PackageIndex::Entry;

std::string FirstLine(const std::string& text) { return OneLine(text.substr(0, text.find('\n'))); }

std::string Percent(int64_t part, int64_t whole) {
  if (whole == 0) return "0 %";
  char text[32];
  std::snprintf(text, sizeof text, "%.0f %%",
                100.0 * static_cast<double>(part) / static_cast<double>(whole));
  return text;
}

absl::StatusOr<PackageIndex> ReadIndex(Context& context, std::string* description) {
  COOKIX_ASSIGN_OR_RETURN(PackageSource source, FindPackageSource(context.args().Get("source")));
  *description = source.description;
  PackageIndex index;
  for (const std::string& file : source.files) {
    COOKIX_ASSIGN_OR_RETURN(std::string text, ReadIndexFile(file));
    if (const absl::Status status = index.Add(text, source.installed_only); !status.ok()) {
      return MakeError(
          status.code(), file + ": " + std::string(status.message()),
          {.reason = "", .field = "--source", .remedy = "check that it is a package index"});
    }
  }
  index.Finish();
  if (index.package_count() == 0) {
    return MakeError(absl::StatusCode::kNotFound, "there are no packages in " + *description,
                     {.reason = "", .field = "--source", .remedy = "give another --source"});
  }
  return index;
}

absl::Status RegisterRelations(Context& context, const std::string& name_space) {
  for (const PackageRelationInfo& info : PackageRelations()) {
    v1::PutRelationRequest request;
    request.set_namespace_(name_space);
    v1::Relation* relation = request.mutable_relation();
    relation->set_name(info.name);
    relation->set_inverse(info.inverse);
    relation->set_symmetric(*info.inverse == '\0');
    relation->set_description(info.meaning);
    v1::PutRelationResponse response;
    COOKIX_CALL(context, PutRelation, request, &response);
  }
  return absl::OkStatus();
}

absl::Status Load(Context& context, const std::string& name_space, const PackageIndex& index) {
  COOKIX_RETURN_IF_ERROR(RegisterRelations(context, name_space));
  COOKIX_ASSIGN_OR_RETURN(client::Client * client, context.client());
  COOKIX_ASSIGN_OR_RETURN(auto writer, client->OpenBulkWriter(4));
  const auto total = static_cast<int64_t>(index.entries().size());
  Progress progress = context.MakeProgress("loading packages", total, "objects");
  int64_t done = 0;
  v1::WriteRequest batch;
  auto send = [&]() -> absl::Status {
    if (batch.mutations().empty()) return absl::OkStatus();
    batch.set_namespace_(name_space);
    done += batch.mutations_size();
    v1::WriteRequest full;
    full.Swap(&batch);
    COOKIX_RETURN_IF_ERROR(writer->Write(std::move(full)));
    progress.Update(done);
    return absl::OkStatus();
  };
  absl::Status status;
  for (const auto& [name, entry] : index.entries()) {
    *batch.add_mutations()->mutable_put_object() = entry.write;
    if (batch.mutations_size() < kObjectsOfBatch) continue;
    status = send();
    if (!status.ok()) break;
  }
  if (status.ok()) status = send();
  const absl::Status finished = writer->Finish();
  progress.Abandon();
  COOKIX_RETURN_IF_ERROR(status);
  COOKIX_RETURN_IF_ERROR(finished);
  progress.Finish(done);
  // Only a whole load is marked, so that one that was cut off is done again.
  v1::UpdateNamespaceRequest update;
  update.set_namespace_(name_space);
  (*update.mutable_set_labels())[kIndexLabel] = index.Fingerprint();
  update.mutable_options()->set_wait_for_views(true);
  update.mutable_options()->set_wait_ms(30'000);
  v1::UpdateNamespaceResponse response;
  return client->UpdateNamespace(update, &response);
}

// Opens the namespace and loads the index unless it is there already.
absl::StatusOr<std::string> Prepare(Context& context, const PackageIndex& index, bool* loaded) {
  const char* const description = "Debian packages, made by cookix demo packages";
  COOKIX_ASSIGN_OR_RETURN(v1::Namespace opened,
                          OpenDemoNamespace(context, "packages", "packages", description));
  const auto label = opened.labels().find(kIndexLabel);
  const bool current = label != opened.labels().end() && label->second == index.Fingerprint();
  if (current && !context.args().Has("reload")) return opened.name();
  if (opened.object_count() > 0 || label != opened.labels().end()) {
    v1::DeleteNamespaceRequest request;
    request.set_namespace_(opened.name());
    request.set_force(true);
    v1::DeleteNamespaceResponse response;
    COOKIX_CALL(context, DeleteNamespace, request, &response);
    COOKIX_RETURN_IF_ERROR(
        OpenDemoNamespace(context, "packages", "packages", description).status());
  }
  COOKIX_RETURN_IF_ERROR(Load(context, opened.name(), index));
  *loaded = true;
  return opened.name();
}

// Steps by which one package makes another necessary: a need, and from a virtual
// package on to what provides it.
v1::FindPathRequest NeedPath(const std::string& source, const std::string& target,
                             v1::PathMetric metric) {
  v1::FindPathRequest request;
  request.mutable_source()->set_key(source);
  request.mutable_target()->set_key(target);
  request.set_metric(metric);
  for (const char* name : {"depends", "pre_depends", "provided_by"}) {
    request.mutable_steps()->add_relations(name);
  }
  return request;
}

bool SamePath(const v1::Path& a, const v1::Path& b) {
  if (a.steps_size() != b.steps_size()) return false;
  for (int i = 0; i < a.steps_size(); ++i) {
    const v1::PathStep& x = a.steps(i);
    const v1::PathStep& y = b.steps(i);
    if (x.relation() != y.relation() || !SameRef(x.source(), y.source()) ||
        !SameRef(x.target(), y.target())) {
      return false;
    }
  }
  return true;
}

// The pairs that people wonder about, where the index has them; then, for small
// indexes, those with the most needs and the most needed.
std::vector<std::pair<std::string, std::string>> Pairs(const PackageIndex& index) {
  static constexpr std::pair<const char*, const char*> kFamous[] = {
      {"gnome", "perl-base"},
      {"libreoffice-writer", "tzdata"},
      {"texlive-full", "media-types"},
      {"kde-plasma-desktop", "iso-codes"},
      {"gimp", "debconf"},
      {"default-jdk", "ca-certificates"},
      {"postgresql", "tzdata"},
      {"vlc", "fontconfig-config"},
      {"openssh-server", "libdb5.3"},
      {"apt", "libgcrypt20"},
  };
  std::vector<std::pair<std::string, std::string>> pairs;
  auto real = [&index](const std::string& name) {
    const Entry* entry = index.Find(name);
    return entry != nullptr && !entry->is_virtual;
  };
  for (const auto& [source, target] : kFamous) {
    if (real(source) && real(target)) pairs.emplace_back(source, target);
  }
  std::vector<std::pair<int64_t, std::string>> hungry;
  std::vector<std::pair<int64_t, std::string>> wanted;
  for (const auto& [name, entry] : index.entries()) {
    if (entry.is_virtual) continue;
    hungry.emplace_back(-entry.needs, name);
    wanted.emplace_back(-entry.needed_by, name);
  }
  std::sort(hungry.begin(), hungry.end());
  std::sort(wanted.begin(), wanted.end());
  for (size_t i = 0; i < std::min<size_t>(hungry.size(), 4); ++i) {
    for (size_t j = 2; j < std::min<size_t>(wanted.size(), 10); j += 3) {
      if (hungry[i].second != wanted[j].second) {
        pairs.emplace_back(hungry[i].second, wanted[j].second);
      }
    }
  }
  return pairs;
}

absl::Status AskWhyNeeded(DemoStage& stage, const PackageIndex& index) {
  constexpr int kQuestions = 3;
  int asked = 0;
  std::set<std::string> seen;
  for (int least_hops : {2, 1}) {
    for (const auto& [source, target] : Pairs(index)) {
      if (asked == kQuestions) return absl::OkStatus();
      if (seen.count(source) > 0 || seen.count(target) > 0) continue;
      // A look ahead, so that only questions with an answer worth reading are asked.
      v1::FindPathRequest request = NeedPath(source, target, v1::PATH_METRIC_HOPS);
      request.set_namespace_(stage.name_space());
      v1::FindPathResponse found;
      COOKIX_CALL(stage.context(), FindPath, request, &found);
      if (!found.found() || found.path().steps_size() < least_hops) continue;
      ++asked;
      seen.insert({source, target});
      stage.Question("Why does " + source + " need " + target + "?");
      COOKIX_ASSIGN_OR_RETURN(v1::FindPathResponse shortest,
                              stage.Path(NeedPath(source, target, v1::PATH_METRIC_HOPS), ""));
      v1::FindPathRequest weighted = NeedPath(source, target, v1::PATH_METRIC_WEIGHT);
      weighted.set_namespace_(stage.name_space());
      v1::FindPathResponse strongest;
      COOKIX_CALL(stage.context(), FindPath, weighted, &strongest);
      if (strongest.found() && !SamePath(shortest.path(), strongest.path())) {
        COOKIX_RETURN_IF_ERROR(
            stage
                .Path(NeedPath(source, target, v1::PATH_METRIC_WEIGHT),
                      "The strongest chain (pre-depends count half, alternatives more):")
                .status());
      }
    }
  }
  return absl::OkStatus();
}

// True when some version named by `conditions` ("<< 1.0, = 2.0") is `version`.
bool AnyHolds(const std::string& conditions, const std::string& version) {
  size_t start = 0;
  while (start < conditions.size()) {
    const size_t comma = std::min(conditions.find(", ", start), conditions.size());
    const std::string condition = conditions.substr(start, comma - start);
    const size_t space = condition.find(' ');
    if (space == std::string::npos) return true;
    if (SatisfiesDebianVersion(version, condition.substr(0, space), condition.substr(space + 1))) {
      return true;
    }
    start = comma + 2;
  }
  return false;
}

struct Clash {
  std::string other;
  std::string why;
  bool today = true;  // with the versions of this index
  bool known = true;  // the index has the other package
};

const v1::Edge* StoredEdge(const PackageIndex& index, const std::string& source,
                           const std::string& relation, const std::string& target) {
  const Entry* entry = index.Find(source);
  if (entry == nullptr) return nullptr;
  for (const v1::Edge& edge : entry->write.edges()) {
    if (edge.relation() == relation && edge.target().key() == target) return &edge;
  }
  return nullptr;
}

// Reads conflicts and breaks at a package, in both directions, from the server.
absl::StatusOr<std::vector<Clash>> DirectClashes(DemoStage& stage, const PackageIndex& index,
                                                 const std::string& name) {
  std::vector<Clash> clashes;
  std::set<std::string> seen;
  v1::ListNeighborsRequest request;
  request.set_namespace_(stage.name_space());
  request.mutable_ref()->set_key(name);
  request.set_direction(v1::DIRECTION_BOTH);
  request.add_relations("conflicts");
  request.add_relations("breaks");
  request.set_page_size(1000);
  v1::ListNeighborsResponse response;
  do {
    request.set_page_token(response.next_page_token());
    COOKIX_CALL(stage.context(), ListNeighbors, request, &response);
    for (const v1::Neighbor& neighbor : response.neighbors()) {
      const v1::Edge& edge = neighbor.edge();
      const bool ours = edge.source().key() == name;
      const std::string& other = ours ? edge.target().key() : edge.source().key();
      const Entry* entry = index.Find(other);
      // A virtual name is no package; those behind it come with the chain.
      if (entry != nullptr && entry->is_virtual) continue;
      if (!seen.insert(other + ' ' + edge.relation()).second) continue;
      Clash clash;
      clash.other = other;
      const std::string verb = edge.relation() == "breaks" ? "breaks" : "conflicts with";
      clash.why = ours ? name + " " + verb + " it" : "it " + verb + " " + name;
      const v1::Edge* stored =
          StoredEdge(index, edge.source().key(), edge.relation(), edge.target().key());
      std::string condition;
      if (stored != nullptr) {
        const auto version = stored->properties().find("version");
        if (version != stored->properties().end()) condition = version->second.string_value();
      }
      const Entry* hit = index.Find(edge.target().key());
      if (entry == nullptr) {
        clash.today = false;
        clash.known = false;
        clash.why += ", but the index does not have it";
      } else if (!condition.empty()) {
        clash.today = hit != nullptr && AnyHolds(condition, hit->version);
        clash.why += " (" + condition;
        if (hit != nullptr && !clash.today) clash.why += "; the index has " + hit->version;
        clash.why += ")";
      }
      clashes.push_back(std::move(clash));
    }
  } while (!response.next_page_token().empty());
  return clashes;
}

// True when a package other than `name` provides the virtual package.
bool OthersProvide(const PackageIndex& index, const std::string& name, const Entry& entry) {
  const int64_t providers = entry.write.object().properties().at("providers").int_value();
  const bool itself =
      StoredEdge(index, name, "provides", entry.write.object().ref().key()) != nullptr;
  return providers > (itself ? 1 : 0);
}

absl::Status AskConflicts(DemoStage& stage, const PackageIndex& index) {
  // A package that conflicts through a virtual package shows most; else the one
  // with the most conflicts.
  std::string chosen;
  for (const char* name : {"exim4-daemon-light", "postfix", "lightdm", "mariadb-server"}) {
    if (const Entry* entry = index.Find(name); entry != nullptr && !entry->is_virtual) {
      chosen = name;
      break;
    }
  }
  if (chosen.empty()) {
    int64_t most = 0;
    for (const auto& [name, entry] : index.entries()) {
      int64_t count = 0;
      for (const v1::Edge& edge : entry.write.edges()) {
        if (edge.relation() != "conflicts" && edge.relation() != "breaks") continue;
        const Entry* target = index.Find(edge.target().key());
        if (target == nullptr) {
          ++count;
        } else if (!target->is_virtual) {
          count += 100;
        } else if (edge.relation() == "conflicts" && OthersProvide(index, name, *target)) {
          count += 150;
        }
      }
      if (count > most) {
        most = count;
        chosen = name;
      }
    }
  }
  if (chosen.empty()) return absl::OkStatus();
  stage.Question("What conflicts with " + chosen + ", and why?");
  const auto start = std::chrono::steady_clock::now();
  COOKIX_ASSIGN_OR_RETURN(std::vector<Clash> clashes, DirectClashes(stage, index, chosen));
  const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(
                          std::chrono::steady_clock::now() - start)
                          .count();
  std::stable_sort(clashes.begin(), clashes.end(), [](const Clash& a, const Clash& b) {
    return std::pair(a.today, a.known) > std::pair(b.today, b.known);
  });
  constexpr int kShown = 6;
  constexpr int kShownOther = 3;
  int today = 0;
  int other = 0;
  Json list = Json::array();
  for (const Clash& clash : clashes) {
    Json item = Json::object();
    item["package"] = clash.other;
    item["why"] = clash.why;
    item["today"] = clash.today;
    list.push_back(std::move(item));
    const bool show = clash.today ? ++today <= kShown : ++other <= kShownOther;
    if (!clash.today && other == 1 && stage.human()) {
      stage.out().Line(today == 0 ? "   Nothing, with the versions of this index:"
                                  : "   Not with the versions of this index:");
    }
    if (!show || !stage.human()) continue;
    stage.out().Line("   " +
                     (clash.today ? stage.out().Paint("✗ ", Tone::kBad) : std::string("· ")) +
                     clash.other + stage.out().Paint("  " + clash.why, Tone::kDim));
  }
  stage.Note("direct", std::move(list));
  if (clashes.empty()) stage.Answer("nothing directly");
  const int hidden = std::max(0, today - kShown) + std::max(0, other - kShownOther);
  if (hidden > 0) stage.Detail("and " + WithCommas(hidden) + " more");
  stage.Timing(WithCommas(static_cast<int64_t>(clashes.size())) + " edges read, " +
               HumanMicros(micros) + " round trip");
  bool through_virtual = false;
  for (const v1::Edge& edge : index.Find(chosen)->write.edges()) {
    const Entry* target = index.Find(edge.target().key());
    through_virtual = through_virtual ||
                      (edge.relation() == "conflicts" && target != nullptr && target->is_virtual);
  }
  if (!through_virtual) return absl::OkStatus();
  v1::QueryRequest chain;
  chain.mutable_anchor()->set_key(chosen);
  chain.add_chain("conflicts");
  chain.add_chain("provided_by");
  chain.set_limit(50);
  if (stage.human()) stage.out().Line("   Through what others provide:");
  return stage.Query(chain, kShown, "nothing").status();
}

absl::Status AskWhatWouldMiss(DemoStage& stage, const PackageIndex& index) {
  std::string chosen;
  for (const char* name : {"libssl3", "perl-base", "tzdata", "zlib1g"}) {
    if (const Entry* entry = index.Find(name); entry != nullptr && entry->needed_by > 0) {
      chosen = name;
      break;
    }
  }
  if (chosen.empty()) {
    int64_t most = 0;
    for (const auto& [name, entry] : index.entries()) {
      if (!entry.is_virtual && entry.needed_by > most) {
        most = entry.needed_by;
        chosen = name;
      }
    }
  }
  if (chosen.empty()) return absl::OkStatus();
  stage.Question("What would miss " + chosen + " if it went?");
  v1::TraverseRequest request;
  request.set_namespace_(stage.name_space());
  request.mutable_start()->set_key(chosen);
  request.set_max_depth(64);
  request.set_limit(100'000);
  // The inverses are virtual edges: only "depends" and the like are stored.
  for (const char* name : {"needed_by", "pre_needed_by", "provides"}) {
    request.mutable_steps()->add_relations(name);
  }
  const auto start = std::chrono::steady_clock::now();
  v1::TraverseResponse response;
  COOKIX_CALL(stage.context(), Traverse, request, &response);
  const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(
                          std::chrono::steady_clock::now() - start)
                          .count();
  std::map<int, int64_t> by_depth;
  int64_t all = 0;
  std::vector<std::pair<int64_t, int>> largest;
  for (int i = 0; i < response.visits_size(); ++i) {
    const v1::Visit& visit = response.visits(i);
    const Entry* entry = index.Find(visit.ref().key());
    if (visit.depth() == 0 || entry == nullptr || entry->is_virtual) continue;
    ++by_depth[visit.depth()];
    ++all;
    largest.emplace_back(-entry->installed_bytes, i);
  }
  stage.Note("packages", all);
  Json depths = Json::object();
  for (const auto& [depth, count] : by_depth) depths[std::to_string(depth)] = count;
  stage.Note("by_steps", std::move(depths));
  stage.Answer(WithCommas(all) + " of " + WithCommas(index.package_count()) + " packages (" +
               Percent(all, index.package_count()) + "), some of which name an alternative");
  if (stage.human()) {
    int64_t peak = 1;
    for (const auto& [depth, count] : by_depth) peak = std::max(peak, count);
    int rows = 0;
    int64_t rest = 0;
    for (const auto& [depth, count] : by_depth) {
      if (++rows > 6) {
        rest += count;
        continue;
      }
      std::string bar;
      for (int64_t i = 0; i < std::max<int64_t>(1, count * 32 / peak); ++i) bar += "▇";
      std::string amount = WithCommas(count);
      amount.insert(0, static_cast<size_t>(std::max<int>(0, 8 - static_cast<int>(amount.size()))),
                    ' ');
      stage.out().Line(
          "   " +
          std::string(depth == 1 ? "directly  " : "in " + std::to_string(depth) + " steps") +
          amount + "  " + stage.out().Paint(bar, Tone::kRelation));
    }
    if (rest > 0) stage.Detail("and " + WithCommas(rest) + " further away");
  }
  stage.Timing(WithCommas(response.edges_examined()) + " edges examined, " + HumanMicros(micros) +
               " round trip");
  // The path of the largest one, read back from the walk.
  std::sort(largest.begin(), largest.end());
  if (largest.empty()) return absl::OkStatus();
  const v1::Visit* visit = &response.visits(largest.front().second);
  if (stage.human()) {
    stage.out().Line("   The largest of them is " + visit->ref().key() + " (" +
                     HumanBytes(-largest.front().first) + " installed):");
  }
  v1::Path path;
  std::vector<const v1::Visit*> way;
  for (; visit->parent() >= 0; visit = &response.visits(visit->parent())) way.push_back(visit);
  for (auto it = way.rbegin(); it != way.rend(); ++it) *path.add_steps() = (*it)->via();
  v1::ObjectRef from;
  from.set_key(chosen);
  stage.Note("largest", ToJson(path));
  if (stage.human()) PrintPath(from, path, stage.out(), 3);
  return absl::OkStatus();
}

absl::Status AskLargest(DemoStage& stage, const PackageIndex& index) {
  std::map<std::string, int64_t> sections;
  for (const auto& [name, entry] : index.entries()) {
    const auto it = entry.write.object().properties().find("section");
    if (it != entry.write.object().properties().end()) ++sections[it->second.string_value()];
  }
  std::string section = "games";
  if (sections.count(section) == 0 && !sections.empty()) {
    section = std::max_element(sections.begin(), sections.end(), [](const auto& a, const auto& b) {
                return a.second < b.second;
              })->first;
  }
  const int64_t megabytes = index.package_count() > 5000 ? 500 : 10;
  stage.Question("Which packages of the section " + section + " take more than " +
                 std::to_string(megabytes) + " MiB installed?");
  v1::ScanObjectsRequest request;
  request.set_namespace_(stage.name_space());
  request.set_page_size(1000);
  auto* all = request.mutable_filter()->mutable_all();
  v1::Comparison* first = all->add_operands()->mutable_comparison();
  first->set_field("section");
  first->set_op(v1::COMPARISON_OPERATOR_EQUAL);
  first->mutable_value()->set_string_value(section);
  v1::Comparison* second = all->add_operands()->mutable_comparison();
  second->set_field("installed_size");
  second->set_op(v1::COMPARISON_OPERATOR_GREATER);
  second->mutable_value()->set_int_value(megabytes << 20);
  const auto start = std::chrono::steady_clock::now();
  v1::ScanObjectsResponse response;
  COOKIX_CALL(stage.context(), ScanObjects, request, &response);
  const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(
                          std::chrono::steady_clock::now() - start)
                          .count();
  std::vector<std::pair<int64_t, const v1::Object*>> found;
  for (const v1::Object& object : response.objects()) {
    found.emplace_back(-object.properties().at("installed_size").int_value(), &object);
  }
  std::sort(found.begin(), found.end());
  stage.Note("objects", ToJson(response)["objects"]);
  if (stage.human()) {
    Table table(
        {{"PACKAGE", false, Tone::kBold}, {"INSTALLED", true}, {"CONTENT", false, Tone::kDim}});
    for (size_t i = 0; i < found.size() && i < 5; ++i) {
      table.Add({found[i].second->ref().key(), HumanBytes(-found[i].first),
                 FirstLine(found[i].second->content())});
    }
    if (table.empty()) {
      stage.out().Line("   none");
    } else {
      table.Print(stage.out(), 3);
    }
    if (found.size() > 5) stage.Detail("and " + std::to_string(found.size() - 5) + " more");
  }
  stage.Timing("section = " + section + " AND installed_size > " + std::to_string(megabytes << 20) +
               ": " + WithCommas(static_cast<int64_t>(found.size())) + " objects, " +
               HumanMicros(micros) + " round trip");
  return absl::OkStatus();
}

}  // namespace

absl::Status DemoPackages(Context& context) {
  std::string description;
  COOKIX_ASSIGN_OR_RETURN(PackageIndex index, ReadIndex(context, &description));
  bool loaded = false;
  COOKIX_ASSIGN_OR_RETURN(std::string name_space, Prepare(context, index, &loaded));
  DemoStage stage(context, "packages", name_space);
  const auto objects = static_cast<int64_t>(index.entries().size());
  stage.document()["source"] = description;
  stage.document()["packages"] = index.package_count();
  stage.document()["virtual_packages"] = objects - index.package_count();
  stage.document()["edges"] = index.edge_count();
  stage.document()["loaded"] = loaded;
  const int64_t virtuals = objects - index.package_count();
  stage.Say(WithCommas(index.package_count()) + " packages and " + WithCommas(virtuals) +
            (virtuals == 1 ? " virtual package with " : " virtual packages with ") +
            WithCommas(index.edge_count()) + " edges, from " + description + ", in the namespace " +
            name_space + (loaded ? "." : " (loaded before)."));
  if (index.missing_count() > 0) {
    stage.Say(context.out().Paint(
        WithCommas(index.missing_count()) +
            " names that they mention are not in the index: targets without an object.",
        Tone::kDim));
  }
  COOKIX_RETURN_IF_ERROR(AskWhyNeeded(stage, index));
  COOKIX_RETURN_IF_ERROR(AskConflicts(stage, index));
  COOKIX_RETURN_IF_ERROR(AskWhatWouldMiss(stage, index));
  COOKIX_RETURN_IF_ERROR(AskLargest(stage, index));
  stage.End();
  return absl::OkStatus();
}

}  // namespace cookix::cli
