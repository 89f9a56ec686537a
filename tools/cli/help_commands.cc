// help, completion, and the text of both.
#include <algorithm>
#include <map>
#include <set>

#include "storage/base/status.h"
#include "tools/cli/command.h"
#include "tools/cli/text_width.h"

namespace cookix::cli {
namespace {

constexpr char kExitCodes[] =
    "Exit codes\n"
    "\n"
    "  0  done\n"
    "  1  failure, and a negative answer of verify and verify-log\n"
    "  2  the command line or the request is wrong\n"
    "  3  not found\n"
    "  4  no key, a wrong key, or a role that is too low\n"
    "  5  the server cannot be reached or did not answer in time\n"
    "  6  a condition does not hold, or the thing exists already\n";

constexpr char kFilters[] =
    "Filters (--where)\n"
    "\n"
    "  size > 1000 AND section = \"devel\"\n"
    "  NOT (section IN (games, x11)) OR $key ^= lib\n"
    "  EXISTS homepage\n"
    "\n"
    "  =  !=  <  <=  >  >=    compare; a missing field satisfies none of them\n"
    "  ^=                     starts with\n"
    "  IN (a, b, c)           equals one of them\n"
    "  EXISTS field           is there and not null\n"
    "  AND  OR  NOT  ( )      NOT binds tightest, then AND, then OR\n"
    "\n"
    "  Values are numbers, true, false, \"text\", or a bare word. Fields are property\n"
    "  names, dotted for nested maps, in `back quotes` when they have odd characters,\n"
    "  or system fields: $key $collection $label $version $created_ms $updated_ms\n"
    "  $expires_ms.\n";

constexpr char kVectorFields[] =
    "Vector fields (collections create --vector, collections update --vector)\n"
    "\n"
    "  NAME:DIM[:METRIC][:INDEX][:QUANTIZATION][:multi][:SETTING=VALUE]…\n"
    "\n"
    "  shape:384:cosine             HNSW with int8 codes, the default\n"
    "  words:0                      a sparse field\n"
    "  hash:256:hamming:flat        bits\n"
    "  image:768:l2:hnsw:none:m=32  floats, 32 neighbours\n"
    "\n"
    "  METRIC          cosine, l2, dot, hamming\n"
    "  INDEX           hnsw, flat (compares with all), cells (on disk), sparse\n"
    "  QUANTIZATION    int8, none, product, binary\n"
    "  multi           an object may have several vectors; aggregate=max|mean|first\n"
    "  SETTING         of hnsw: m, ef_construction, ef_search\n"
    "                  of cells: cells_probed, max_cell_size, max_variance, max_drift\n"
    "\n"
    "  The parts after DIM may stand in any order. DIM may be left out where a field\n"
    "  is changed; ef_search and the settings of cells can be changed at any time.\n";

constexpr char kTextFields[] =
    "Text fields (collections create --text-field, collections update --text-field)\n"
    "\n"
    "  NAME[:LANGUAGE][:BOOST][:SETTING]…\n"
    "\n"
    "  content                      the objects' content, of any language\n"
    "  title:en:2                   the property title, English, counting double\n"
    "  about:de:source=meta.about   a property of another name\n"
    "  tags:no-positions:by-name    smaller, without phrases; searched when named\n"
    "\n"
    "  LANGUAGE        two letters; stems words and leaves out stop words\n"
    "  BOOST           multiplies what matches in the field score\n"
    "  source=NAME     $content or a property, dotted for nested maps\n"
    "  no-stemming, no-stop-words, no-case-folding, no-accent-folding\n"
    "  stop=WORD       one more stop word\n"
    "  no-positions    does not keep where words stand\n"
    "  by-name         only searched by queries that name it; by-default takes it back\n"
    "\n"
    "  The parts after NAME may stand in any order. Boost and by-name can be changed.\n";

constexpr char kLanes[] =
    "Lanes (search --lane)\n"
    "\n"
    "  KIND[,SETTING=VALUE]…:QUERY\n"
    "\n"
    "  text:heavy rain                      by words\n"
    "  text,mode=raw,fields=title:rain*     by the title alone, in the raw grammar\n"
    "  vector,field=topic:0.1,0.7           by a vector\n"
    "  like,weight=0.5:storm                by the vector of an object, counting half\n"
    "  linked,hops=3,relations=causes:flood by ways from objects, nearest first\n"
    "\n"
    "  Each lane has  name=  weight=  candidates=\n"
    "  text           mode=any|all|phrase|raw  fields=A+B\n"
    "  vector, like   field=  ef=  cells=  exact=true\n"
    "  linked         hops=  relations=A+B; the keys have commas between\n"
    "\n"
    "  Raw queries: words side by side or AND, OR, NOT, (…), \"a phrase\", \"a phrase\"~2,\n"
    "  begin*, fuzzy~1, title:word, word^2; a backslash takes the meaning away.\n";

std::string Usage(const Command& command) {
  std::string usage = "cookix " + command.name;
  for (const PositionalSpec& spec : command.positionals) {
    std::string word = spec.name + (spec.repeated ? "…" : "");
    usage += spec.optional ? " [" + word + "]" : " " + word;
  }
  if (command.raw) return usage + " [cookixd flags]";
  for (const FlagSpec& spec : command.flags) {
    if (spec.required) usage += " --" + spec.name + " " + spec.value;
  }
  return usage + " [flags]";
}

std::string FlagLines(const std::vector<FlagSpec>& flags, const Terminal& terminal) {
  std::vector<std::string> names;
  int widest = 0;
  for (const FlagSpec& spec : flags) {
    std::string name = spec.letter != 0 ? std::string("-") + spec.letter + ", " : "    ";
    name += "--" + spec.name + (spec.value.empty() ? "" : " " + spec.value);
    widest = std::max(widest, DisplayWidth(name));
    names.push_back(std::move(name));
  }
  widest = std::min(widest, 36);
  std::string lines;
  const int indent = widest + 4;
  for (size_t i = 0; i < flags.size(); ++i) {
    const int padding = std::max(2, indent - 2 - DisplayWidth(names[i]));
    lines += "  " + names[i] + std::string(static_cast<size_t>(padding), ' ') +
             Wrap(flags[i].help + (flags[i].repeated ? " (may be repeated)" : ""),
                  std::max(24, std::min(terminal.width(), 100) - indent), indent) +
             "\n";
  }
  return lines;
}

absl::Status Help(Context& context) {
  const auto& words = context.args().positionals();
  if (words.empty()) {
    context.out().out() << OverviewText(context.out());
    return absl::OkStatus();
  }
  std::string wanted;
  for (const std::string& word : words) wanted += (wanted.empty() ? "" : " ") + word;
  if (const std::string text = TopicText(wanted); !text.empty()) {
    context.out().out() << text;
    return absl::OkStatus();
  }
  std::vector<std::string> names = {"exit-codes", "filters", "lanes", "text-fields",
                                    "vector-fields"};
  std::string found;
  for (const CommandGroup& group : AllCommands()) {
    for (const Command& command : group.commands) {
      names.push_back(command.name);
      const bool alias = std::find(command.aliases.begin(), command.aliases.end(), wanted) !=
                         command.aliases.end();
      if (command.name == wanted || alias || command.name.rfind(wanted + " ", 0) == 0) {
        found += (found.empty() ? "" : "\n") + HelpText(command, context.out());
      }
    }
  }
  if (found.empty()) {
    const std::string close = Suggest(wanted, names);
    return UsageError("no help on \"" + wanted + "\"", wanted,
                      close.empty() ? "see `cookix help`" : "did you mean \"" + close + "\"?");
  }
  context.out().out() << found;
  return absl::OkStatus();
}

// First words, and the second words of those that have them.
std::map<std::string, std::set<std::string>> Words() {
  std::map<std::string, std::set<std::string>> words;
  for (const CommandGroup& group : AllCommands()) {
    for (const Command& command : group.commands) {
      const size_t space = command.name.find(' ');
      auto& second = words[command.name.substr(0, space)];
      if (space != std::string::npos) second.insert(command.name.substr(space + 1));
      for (const std::string& alias : command.aliases) words[alias];
    }
  }
  return words;
}

std::map<std::string, std::set<std::string>> FlagsByWord() {
  std::map<std::string, std::set<std::string>> flags;
  for (const CommandGroup& group : AllCommands()) {
    for (const Command& command : group.commands) {
      std::vector<std::string> names = command.aliases;
      names.push_back(command.name.substr(0, command.name.find(' ')));
      for (const std::string& name : names) {
        for (const FlagSpec& spec : command.flags) flags[name].insert("--" + spec.name);
      }
    }
  }
  return flags;
}

std::string JoinWords(const std::set<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

std::string GlobalFlagWords() {
  std::set<std::string> names = {"--help"};
  for (const FlagSpec& spec : GlobalFlags()) names.insert("--" + spec.name);
  return JoinWords(names);
}

std::string BashCompletion() {
  std::set<std::string> first;
  std::string second_cases;
  std::string flag_cases;
  for (const auto& [word, seconds] : Words()) {
    first.insert(word);
    if (!seconds.empty()) {
      second_cases += "    " + word + ") words=\"" + JoinWords(seconds) + "\" ;;\n";
    }
  }
  for (const auto& [word, flags] : FlagsByWord()) {
    flag_cases += "      " + word + ") words=\"$words " + JoinWords(flags) + "\" ;;\n";
  }
  return "# bash completion of cookix: source <(cookix completion bash)\n"
         "_cookix() {\n"
         "  local current=\"${COMP_WORDS[COMP_CWORD]}\" command=\"\" position=0 i words=\"\"\n"
         "  for ((i = 1; i < COMP_CWORD; ++i)); do\n"
         "    if [[ ${COMP_WORDS[i]} != -* ]]; then\n"
         "      position=$((position + 1))\n"
         "      [[ -z $command ]] && command=\"${COMP_WORDS[i]}\"\n"
         "    fi\n"
         "  done\n"
         "  if [[ $current == -* ]]; then\n"
         "    words=\"" +
         GlobalFlagWords() +
         "\"\n"
         "    case $command in\n" +
         flag_cases +
         "    esac\n"
         "  elif [[ -z $command ]]; then\n"
         "    words=\"" +
         JoinWords(first) +
         "\"\n"
         "  elif [[ $position -eq 1 ]]; then\n"
         "    case $command in\n" +
         second_cases +
         "    esac\n"
         "  fi\n"
         "  if [[ -n $words ]]; then\n"
         "    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$current\")\n"
         "  else\n"
         "    mapfile -t COMPREPLY < <(compgen -f -- \"$current\")\n"
         "  fi\n"
         "}\n"
         "complete -F _cookix cookix\n";
}

std::string ZshCompletion() {
  return "#compdef cookix\n"
         "# zsh completion of cookix: source <(cookix completion zsh)\n"
         "autoload -U +X bashcompinit && bashcompinit\n" +
         BashCompletion();
}

std::string FishCompletion() {
  std::string text =
      "# fish completion of cookix: cookix completion fish | source\n"
      "complete -c cookix -f\n";
  auto quoted = [](std::string line) {
    std::string out = "'";
    for (char c : line) {
      if (c == '\'' || c == '\\') out += '\\';
      out += c;
    }
    return out + "'";
  };
  for (const CommandGroup& group : AllCommands()) {
    for (const Command& command : group.commands) {
      const size_t space = command.name.find(' ');
      const std::string word = command.name.substr(0, space);
      if (space == std::string::npos) {
        text += "complete -c cookix -n __fish_use_subcommand -a " + word + " -d " +
                quoted(command.summary) + "\n";
      } else {
        text += "complete -c cookix -n __fish_use_subcommand -a " + word + "\n";
        text += "complete -c cookix -n '__fish_seen_subcommand_from " + word + "' -a " +
                command.name.substr(space + 1) + " -d " + quoted(command.summary) + "\n";
      }
      for (const FlagSpec& spec : command.flags) {
        text += "complete -c cookix -n '__fish_seen_subcommand_from " + word + "' -l " + spec.name +
                (spec.value.empty() ? "" : " -r") + " -d " + quoted(spec.help) + "\n";
      }
    }
  }
  for (const FlagSpec& spec : GlobalFlags()) {
    text += "complete -c cookix -l " + spec.name + (spec.value.empty() ? "" : " -r") + " -d " +
            quoted(spec.help) + "\n";
  }
  return text;
}

absl::Status Completion(Context& context) {
  const std::string shell = context.args().Positional(0);
  if (shell == "bash") {
    context.out().out() << BashCompletion();
  } else if (shell == "zsh") {
    context.out().out() << ZshCompletion();
  } else if (shell == "fish") {
    context.out().out() << FishCompletion();
  } else {
    return UsageError("no completion for \"" + shell + "\"", "SHELL", "use bash, zsh or fish");
  }
  return absl::OkStatus();
}

}  // namespace

std::string TopicText(std::string_view topic) {
  if (topic == "exit-codes") return kExitCodes;
  if (topic == "filters") return kFilters;
  if (topic == "vector-fields") return kVectorFields;
  if (topic == "text-fields") return kTextFields;
  if (topic == "lanes") return kLanes;
  return "";
}

std::string HelpText(const Command& command, const Terminal& terminal) {
  std::string text = terminal.Paint("cookix " + command.name, Tone::kBold) + "  " +
                     command.summary + "\n\n  " + Usage(command) + "\n";
  if (!command.aliases.empty()) {
    std::string names;
    for (const std::string& name : command.aliases) names += (names.empty() ? "" : ", ") + name;
    text += "  also called " + names + "\n";
  }
  if (!command.positionals.empty()) {
    text += "\n" + terminal.Paint("Arguments", Tone::kBold) + "\n";
    for (const PositionalSpec& spec : command.positionals) {
      std::string name = spec.name;
      name.resize(std::max<size_t>(12, name.size() + 2), ' ');
      text += "  " + name + spec.help + "\n";
    }
  }
  if (!command.flags.empty()) {
    text += "\n" + terminal.Paint("Flags", Tone::kBold) + "\n" + FlagLines(command.flags, terminal);
  }
  text += "\n" + terminal.Paint("Examples", Tone::kBold) + "\n";
  for (const std::string& example : command.examples) text += "  " + example + "\n";
  if (!command.raw) text += "\nFlags of every command: cookix help\n";
  return text;
}

std::string OverviewText(const Terminal& terminal) {
  std::string text = terminal.Paint("cookix", Tone::kBold) +
                     "  typed knowledge, with the path that justifies each answer\n\n"
                     "  cookix COMMAND [arguments] [flags]\n"
                     "  cookix help COMMAND\n";
  for (const CommandGroup& group : AllCommands()) {
    text += "\n" + terminal.Paint(group.title, Tone::kBold) + "\n";
    for (const Command& command : group.commands) {
      std::string name = command.name;
      name.resize(std::max<size_t>(22, name.size() + 2), ' ');
      text += "  " + terminal.Paint(name, Tone::kRelation) + command.summary + "\n";
    }
  }
  text += "\n" + terminal.Paint("Flags of every command", Tone::kBold) + "\n" +
          FlagLines(GlobalFlags(), terminal) +
          "\nMore: cookix help filters, lanes, text-fields, vector-fields, exit-codes\n";
  return text;
}

std::vector<Command> HelpCommands() {
  return {
      {"help",
       {},
       "explain a command or a topic",
       {{"COMMAND", "a command, or one of: filters, lanes, text-fields, vector-fields, exit-codes",
         true, true}},
       {},
       {"cookix help put", "cookix help keys", "cookix help filters"},
       Help},
      {"completion",
       {},
       "print a completion script for a shell",
       {{"SHELL", "bash, zsh or fish"}},
       {},
       {"source <(cookix completion bash)"},
       Completion},
  };
}

}  // namespace cookix::cli
