// Answers as people read them.
#ifndef COOKIX_TOOLS_CLI_RENDER_H_
#define COOKIX_TOOLS_CLI_RENDER_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "cookix/v1/common.pb.h"
#include "cookix/v1/object_service.pb.h"
#include "tools/cli/terminal.h"

namespace cookix::cli {

// A reference: the key, with the collection before it unless it is the default.
std::string RefText(const v1::ObjectRef& ref);
// A number without trailing zeros.
std::string NumberText(double value);
// A property value on one line.
std::string ValueText(const v1::Value& value);
// "2026-01-31 12:00:00" in UTC, "-" for 0.
std::string TimeText(int64_t unix_ms);

// An object in full, one field a line.
void PrintObject(const v1::Object& object, Terminal& terminal);
// A path down the page from `start`, one step a line:
//   umbrella
//   └─ prevents ▸ rain
//      └─ causes ▸ wet_coat
// Virtual steps say how the stored edge runs; an edge that was followed from
// target to source is drawn with ◂ (on one line, <--[r]--).
void PrintPath(const v1::ObjectRef& start, const v1::Path& path, Terminal& terminal,
               int indent = 0);
// The same on one line: `a --[r]--> b`.
std::string PathLine(const v1::ObjectRef& start, const v1::Path& path, const Terminal& terminal);
// The object at the other end of a step that was entered at `from`.
const v1::ObjectRef& OtherEnd(const v1::PathStep& step, const v1::ObjectRef& from);
bool SameRef(const v1::ObjectRef& a, const v1::ObjectRef& b);
// The relation under which a step was followed.
std::string StepName(const v1::PathStep& step);
// True when the stored edge itself was followed from target to source, rather than under a
// name that leads this way.
bool Backwards(const v1::PathStep& step, const v1::ObjectRef& from);

}  // namespace cookix::cli

#endif  // COOKIX_TOOLS_CLI_RENDER_H_
