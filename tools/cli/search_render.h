// How searches and plans are shown to people.
#ifndef COOKIX_TOOLS_CLI_SEARCH_RENDER_H_
#define COOKIX_TOOLS_CLI_SEARCH_RENDER_H_

#include "cookix/v1/search_service.pb.h"
#include "google/protobuf/repeated_ptr_field.h"
#include "tools/cli/terminal.h"

namespace cookix::cli {

struct HitColumns {
  // Native distances: of a search by one vector.
  bool distance = false;
  // Ranks in the lanes.
  bool lanes = false;
  // Snippets rather than contents.
  bool snippets = false;
  // Properties behind the content.
  bool properties = false;
};

void PrintSearchHits(const google::protobuf::RepeatedPtrField<v1::Hit>& hits,
                     const HitColumns& columns, Terminal& out, int indent);

// What a search did, as a tree: what each stage saw, passed on and took.
void PrintStages(const google::protobuf::RepeatedPtrField<v1::PlanStage>& stages, Terminal& out);

// Text fields with what their index holds.
void PrintTextFields(const google::protobuf::RepeatedPtrField<v1::TextFieldStats>& fields,
                     Terminal& out);

void PrintSearchDiagnostics(const v1::SearchDiagnostics& diagnostics, Terminal& out);

}  // namespace cookix::cli

#endif  // COOKIX_TOOLS_CLI_SEARCH_RENDER_H_
