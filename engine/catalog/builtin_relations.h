// The relations that every namespace knows from the start.
#ifndef COOKIX_ENGINE_CATALOG_BUILTIN_RELATIONS_H_
#define COOKIX_ENGINE_CATALOG_BUILTIN_RELATIONS_H_

#include <array>
#include <string_view>

namespace cookix::engine {

struct BuiltinRelation {
  std::string_view name;
  bool symmetric;
  bool transitive;
  std::string_view inverse;
  std::string_view description;
  // Words that questions use, separated by commas.
  std::string_view asked_by;
};

// Ids are positions in this table plus one, in every namespace. Never reordered.
inline constexpr std::array<BuiltinRelation, 20> kBuiltinRelations = {{
    {"causes", false, true, "caused_by", "The source brings the target about.",
     "cause,causes,lead to,leads to"},
    {"caused_by", false, true, "causes", "The source is brought about by the target.",
     "caused by,due to,because of"},
    {"prevents", false, false, "prevented_by", "The source keeps the target from happening.",
     "prevent,prevents,block,blocks,stop,stops"},
    {"prevented_by", false, false, "prevents", "The target keeps the source from happening.",
     "prevented by,blocked by,stopped by"},
    {"is_a", false, true, "has_kind", "The source is a kind of the target.",
     "is a,is an,kind of,type of"},
    {"has_kind", false, true, "is_a", "The target is a kind of the source.", "kinds,types"},
    {"part_of", false, true, "has_part", "The source is a part of the target.",
     "part of,belongs to,component of"},
    {"has_part", false, true, "part_of", "The target is a part of the source.",
     "has part,contains,consists of"},
    {"depends_on", false, true, "dependency_of", "The source needs the target.",
     "depend,depends on,need,needs,require,requires"},
    {"dependency_of", false, true, "depends_on", "The target needs the source.",
     "needed by,required by"},
    {"enables", false, false, "enabled_by", "The source makes the target possible.",
     "enable,enables,allow,allows"},
    {"enabled_by", false, false, "enables", "The target makes the source possible.",
     "enabled by,allowed by"},
    {"precedes", false, true, "follows", "The source comes before the target.",
     "before,precede,precedes"},
    {"follows", false, true, "precedes", "The source comes after the target.",
     "after,follow,follows"},
    {"located_in", false, true, "location_of", "The source is in the target.",
     "in,located in,where"},
    {"location_of", false, true, "located_in", "The target is in the source.", "location of"},
    {"contradicts", true, false, "", "Both cannot hold.", "contradict,contradicts,conflict"},
    {"compatible_with", true, false, "", "Both work together.", "compatible,fits,works with"},
    {"similar_to", true, false, "", "Both are alike.", "similar,like,resembles"},
    {"related_to", true, false, "", "Both have to do with each other.", "related,about"},
}};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_CATALOG_BUILTIN_RELATIONS_H_
