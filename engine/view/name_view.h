// Keeps the table of names up to date. Useful for: naming the objects of an answer.
//
// Nobody waits for this view: see engine/name_table.h.
#ifndef COOKIX_ENGINE_VIEW_NAME_VIEW_H_
#define COOKIX_ENGINE_VIEW_NAME_VIEW_H_

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "engine/name_table.h"
#include "engine/view/view.h"

namespace cookix::engine {

class NameView : public View {
 public:
  // Keeps at most `max_bytes` of names.
  explicit NameView(int64_t max_bytes) : table_(max_bytes) {}

  std::string_view name() const override { return "names"; }
  absl::Status Bootstrap(const ReadView& view, BootstrapMonitor& monitor) override;
  absl::Status Apply(const AppliedCommit& commit) override;
  void Drop() override { table_.Clear(); }
  int64_t MemoryBytes() const override { return table_.MemoryBytes(); }
  // names: how many are kept.
  std::map<std::string, int64_t> Counters() const override { return {{"names", table_.size()}}; }

  const NameTable& table() const { return table_; }

 private:
  NameTable table_;
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_VIEW_NAME_VIEW_H_
