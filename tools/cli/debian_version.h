// Debian version numbers: [epoch:]upstream[-revision].
#ifndef COOKIX_TOOLS_CLI_DEBIAN_VERSION_H_
#define COOKIX_TOOLS_CLI_DEBIAN_VERSION_H_

#include <string_view>

namespace cookix::cli {

// Negative, zero or positive as `a` is older than, the same as or newer than `b`,
// in the order that the Debian policy manual defines: epochs by number, then
// upstream version, then revision, in which "~" sorts before the end of the text,
// letters before other characters, and runs of digits count as numbers.
int CompareDebianVersions(std::string_view a, std::string_view b);

// True when `version` satisfies "relation wanted"; relation is one of << <= = >= >>
// ("<" and ">" are old spellings of <= and >=). An empty relation is satisfied.
bool SatisfiesDebianVersion(std::string_view version, std::string_view relation,
                            std::string_view wanted);

}  // namespace cookix::cli

#endif  // COOKIX_TOOLS_CLI_DEBIAN_VERSION_H_
