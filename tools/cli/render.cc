#include "tools/cli/render.h"

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <map>

#include "tools/cli/json.h"
#include "tools/cli/text_width.h"

namespace cookix::cli {
namespace {

std::string CollectionOf(const v1::ObjectRef& ref) {
  return ref.collection().empty() ? "default" : ref.collection();
}

}  // namespace

bool SameRef(const v1::ObjectRef& a, const v1::ObjectRef& b) {
  return a.key() == b.key() && CollectionOf(a) == CollectionOf(b);
}

std::string RefText(const v1::ObjectRef& ref) {
  const std::string collection = CollectionOf(ref);
  return OneLine(collection == "default" ? ref.key() : collection + "/" + ref.key());
}

std::string NumberText(double value) {
  char text[48];
  std::snprintf(text, sizeof text, "%.6g", value);
  return text;
}

std::string ValueText(const v1::Value& value) {
  if (value.kind_case() == v1::Value::kStringValue) return OneLine(value.string_value());
  return OneLine(Dump(ValueToJson(value)));
}

std::string TimeText(int64_t unix_ms) {
  if (unix_ms == 0) return "-";
  const auto seconds = static_cast<std::time_t>(unix_ms / 1000);
  std::tm parts{};
  if (gmtime_r(&seconds, &parts) == nullptr) return std::to_string(unix_ms);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &parts);
  return text;
}

void PrintObject(const v1::Object& object, Terminal& terminal) {
  auto field = [&terminal](std::string_view name, const std::string& value) {
    std::string padded(name);
    padded.resize(12, ' ');
    terminal.Line(terminal.Paint(padded, Tone::kDim) + value);
  };
  terminal.Line(terminal.Paint(RefText(object.ref()), Tone::kBold));
  if (!object.content().empty()) field("content", OneLine(object.content()));
  if (object.labels_size() > 0) {
    std::string labels;
    for (const std::string& label : object.labels()) labels += (labels.empty() ? "" : ", ") + label;
    field("labels", OneLine(labels));
  }
  const std::map<std::string, v1::Value> properties(object.properties().begin(),
                                                    object.properties().end());
  for (const auto& [name, value] : properties) field(OneLine(name) + " ", ValueText(value));
  const std::map<std::string, v1::Vector> vectors(object.vectors().begin(), object.vectors().end());
  for (const auto& [name, vector] : vectors) {
    // The beginning: whole vectors are for --json.
    constexpr int kShown = 8;
    v1::Vector shown = vector;
    const int size = std::max(vector.values_size(), static_cast<int>(vector.bits().size()));
    if (shown.values_size() > kShown) shown.mutable_values()->Truncate(kShown);
    if (shown.indices_size() > kShown) shown.mutable_indices()->Truncate(kShown);
    if (shown.bits().size() > kShown) shown.mutable_bits()->resize(kShown);
    field(OneLine(name) + " ",
          Dump(ToJson(shown)) +
              (size <= kShown
                   ? ""
                   : " … " + WithCommas(size) + (vector.bits().empty() ? " numbers" : " bytes")));
  }
  field("version", std::to_string(object.version()));
  field("created", TimeText(object.created_ms()));
  field("updated", TimeText(object.updated_ms()));
  if (object.expires_ms() != 0) field("expires", TimeText(object.expires_ms()));
}

std::string StepName(const v1::PathStep& step) {
  return step.virtual_() && !step.virtual_relation().empty() ? step.virtual_relation()
                                                             : step.relation();
}

bool Backwards(const v1::PathStep& step, const v1::ObjectRef& from) {
  return step.virtual_relation().empty() && !SameRef(step.source(), from);
}

const v1::ObjectRef& OtherEnd(const v1::PathStep& step, const v1::ObjectRef& from) {
  return SameRef(step.source(), from) ? step.target() : step.source();
}

void PrintPath(const v1::ObjectRef& start, const v1::Path& path, Terminal& terminal, int indent) {
  std::string margin(static_cast<size_t>(indent), ' ');
  terminal.Line(margin + terminal.Paint(RefText(start), Tone::kBold));
  v1::ObjectRef at = start;
  for (const v1::PathStep& step : path.steps()) {
    const v1::ObjectRef next = OtherEnd(step, at);
    std::string line = margin + "└─ " + terminal.Paint(OneLine(StepName(step)), Tone::kRelation) +
                       (Backwards(step, at) ? " ◂ " : " ▸ ") + RefText(next);
    std::string note;
    if (step.virtual_()) {
      note = "stored as " + RefText(step.source()) + " --[" + OneLine(step.relation()) + "]--> " +
             RefText(step.target());
    }
    if (step.weight() != 1.0) {
      note += (note.empty() ? "weight " : ", weight ") + NumberText(step.weight());
    }
    if (!note.empty()) line += terminal.Paint("  (" + note + ")", Tone::kDim);
    terminal.Line(line);
    margin += "   ";
    at = next;
  }
}

std::string PathLine(const v1::ObjectRef& start, const v1::Path& path, const Terminal& terminal) {
  std::string line = RefText(start);
  v1::ObjectRef at = start;
  for (const v1::PathStep& step : path.steps()) {
    const v1::ObjectRef next = OtherEnd(step, at);
    const bool backwards = Backwards(step, at);
    line += (backwards ? " <--[" : " --[") +
            terminal.Paint(OneLine(StepName(step)), Tone::kRelation) +
            (backwards ? "]-- " : "]--> ") + RefText(next);
    at = next;
  }
  return line;
}

}  // namespace cookix::cli
