// Command lines read against a table of flags, so that an unknown or misspelt
// flag is an error with a suggestion.
#ifndef COOKIX_TOOLS_CLI_ARGUMENTS_H_
#define COOKIX_TOOLS_CLI_ARGUMENTS_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace cookix::cli {

// A flag. With an empty `value` it is a switch.
struct FlagSpec {
  std::string name;       // without dashes
  std::string value;      // what the value is called in the help, such as "FILE"
  std::string help;       // one line
  char letter = 0;        // one-letter form, 0 = none
  bool repeated = false;  // may be given several times
  bool required = false;
};

// A positional argument.
struct PositionalSpec {
  std::string name;  // such as "KEY"
  std::string help;
  bool optional = false;
  bool repeated = false;  // the last one may take several values
};

// The flags and arguments of one call. All getters name the flag in their error.
class Arguments {
 public:
  bool Has(std::string_view flag) const;
  // The last value, or `fallback`.
  std::string Get(std::string_view flag, std::string_view fallback = "") const;
  std::vector<std::string> GetAll(std::string_view flag) const;
  // A whole number within [low, high].
  absl::StatusOr<int64_t> GetInt(std::string_view flag, int64_t fallback, int64_t low,
                                 int64_t high) const;
  absl::StatusOr<double> GetDouble(std::string_view flag, double fallback) const;
  // A duration such as "250ms", "30s", "5m", "2h", "7d"; a bare number is seconds.
  // In milliseconds.
  absl::StatusOr<int64_t> GetDurationMs(std::string_view flag, int64_t fallback) const;

  // The positional argument at `index`, or "".
  std::string Positional(size_t index) const;
  const std::vector<std::string>& positionals() const { return positionals_; }
  // What stood after "--", or of a command that passes all on.
  std::vector<std::string> rest;

 private:
  friend absl::StatusOr<Arguments> ParseArguments(const std::vector<std::string>&,
                                                  const std::vector<FlagSpec>&,
                                                  const std::vector<PositionalSpec>&);
  std::map<std::string, std::vector<std::string>, std::less<>> flags_;
  std::vector<std::string> positionals_;
};

// Reads `words`. "--flag value", "--flag=value", "-f value" and "--" are
// understood; a lone "-" is a positional. INVALID_ARGUMENT with a remedy.
absl::StatusOr<Arguments> ParseArguments(const std::vector<std::string>& words,
                                         const std::vector<FlagSpec>& flags,
                                         const std::vector<PositionalSpec>& positionals);

// A duration as GetDurationMs reads it; nothing when it is not one.
std::optional<int64_t> ParseDurationMs(std::string_view text);
std::optional<int64_t> ParseInt(std::string_view text);
std::optional<double> ParseDouble(std::string_view text);

// The closest of `candidates` to a misspelt `word`; "" when none is close.
std::string Suggest(std::string_view word, const std::vector<std::string>& candidates);

// INVALID_ARGUMENT that the command line is to blame for: exit code 2.
absl::Status UsageError(std::string_view message, std::string_view field, std::string_view remedy);

}  // namespace cookix::cli

#endif  // COOKIX_TOOLS_CLI_ARGUMENTS_H_
