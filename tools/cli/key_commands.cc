// keys create, list, revoke, rotate, whoami.
#include <algorithm>
#include <chrono>

#include "storage/base/status.h"
#include "tools/cli/command.h"
#include "tools/cli/render.h"
#include "tools/cli/text_width.h"

namespace cookix::cli {
namespace {

std::string RoleWord(v1::Role role) {
  switch (role) {
    case v1::ROLE_READ:
      return "read";
    case v1::ROLE_WRITE:
      return "write";
    case v1::ROLE_ADMIN:
      return "admin";
    case v1::ROLE_REPLICA:
      return "replica";
    default:
      return "none";
  }
}

std::string GrantText(const v1::Key& key) {
  std::string text;
  for (const v1::Grant& grant : key.grants()) {
    text += (text.empty() ? "" : ", ") + grant.namespace_() + ":" + RoleWord(grant.role());
  }
  return text;
}

absl::Status Create(Context& context) {
  const Arguments& args = context.args();
  v1::CreateKeyRequest request;
  request.set_name(args.Positional(0));
  for (const std::string& text : args.GetAll("grant")) {
    const size_t colon = text.rfind(':');
    const std::string role = colon == std::string::npos ? "" : text.substr(colon + 1);
    v1::Grant* grant = request.add_grants();
    grant->set_namespace_(text.substr(0, colon));
    grant->set_role(role == "read"      ? v1::ROLE_READ
                    : role == "write"   ? v1::ROLE_WRITE
                    : role == "admin"   ? v1::ROLE_ADMIN
                    : role == "replica" ? v1::ROLE_REPLICA
                                        : v1::ROLE_UNSPECIFIED);
    if (grant->role() == v1::ROLE_UNSPECIFIED) {
      return UsageError(
          "--grant is \"" + text + "\"", "--grant",
          "write NAMESPACE:read, NAMESPACE:write, NAMESPACE:admin, *:admin or *:replica");
    }
  }
  if (args.Has("expires-in")) {
    COOKIX_ASSIGN_OR_RETURN(int64_t ms, args.GetDurationMs("expires-in", 0));
    request.set_expires_ms(ms + std::chrono::duration_cast<std::chrono::milliseconds>(
                                    std::chrono::system_clock::now().time_since_epoch())
                                    .count());
  }
  COOKIX_ASSIGN_OR_RETURN(int64_t rpm, args.GetInt("rpm", 0, 0, 1'000'000'000));
  request.set_requests_per_minute(static_cast<int32_t>(rpm));
  v1::CreateKeyResponse response;
  COOKIX_CALL(context, CreateKey, request, &response);
  context.Answer(response, [&] {
    context.out().Line(response.secret());
    if (!context.quiet()) {
      context.err().Line("key " + OneLine(response.key().id()) + " for " +
                         OneLine(response.key().name()) + " (" + GrantText(response.key()) +
                         "): the secret above is shown only now");
    }
  });
  return absl::OkStatus();
}

absl::Status List(Context& context) {
  v1::ListKeysRequest request;
  request.set_include_inactive(context.args().Has("all"));
  v1::ListKeysResponse response;
  COOKIX_CALL(context, ListKeys, request, &response);
  if (context.json()) {
    context.out().JsonLine(ToJson(response)["keys"]);
    return absl::OkStatus();
  }
  Table table({{"ID", false, Tone::kBold},
               {"NAME"},
               {"GRANTS", false, Tone::kRelation},
               {"CREATED", false, Tone::kDim},
               {"STATE"}});
  for (const v1::Key& key : response.keys()) {
    std::string state = "active";
    if (key.revoked_ms() != 0) {
      state = "revoked " + TimeText(key.revoked_ms());
    } else if (key.expires_ms() != 0) {
      state = "until " + TimeText(key.expires_ms());
    }
    table.Add({key.id(), key.name(), GrantText(key), TimeText(key.created_ms()), state});
  }
  table.Print(context.out());
  return absl::OkStatus();
}

absl::Status Revoke(Context& context) {
  v1::RevokeKeyRequest request;
  request.set_id(context.args().Positional(0));
  v1::RevokeKeyResponse response;
  COOKIX_CALL(context, RevokeKey, request, &response);
  context.Answer(response, [&] {
    if (!context.quiet()) context.out().Line("revoked " + OneLine(response.key().id()));
  });
  return absl::OkStatus();
}

absl::Status Rotate(Context& context) {
  v1::RotateKeyRequest request;
  request.set_id(context.args().Positional(0));
  COOKIX_ASSIGN_OR_RETURN(int64_t grace, context.args().GetDurationMs("grace", 0));
  request.set_grace_ms(grace);
  v1::RotateKeyResponse response;
  COOKIX_CALL(context, RotateKey, request, &response);
  context.Answer(response, [&] {
    context.out().Line(response.secret());
    if (!context.quiet()) {
      context.err().Line("the new secret of key " + OneLine(response.key().id()) +
                         " is shown only now");
    }
  });
  return absl::OkStatus();
}

absl::Status WhoAmI(Context& context) {
  v1::WhoAmIResponse response;
  COOKIX_CALL(context, WhoAmI, v1::WhoAmIRequest(), &response);
  context.Answer(response, [&] {
    if (response.open()) {
      context.out().Line("no keys are asked for: everyone is administrator");
    } else {
      context.out().Line(OneLine(response.key().name()) + "  " +
                         context.out().Paint(OneLine(response.key().id()), Tone::kDim) + "  " +
                         GrantText(response.key()));
    }
  });
  return absl::OkStatus();
}

}  // namespace

std::vector<Command> KeyCommands() {
  const PositionalSpec id{"ID", "the key's id, as `keys list` shows it"};
  return {
      {"keys create",
       {},
       "create an API key and print its secret once",
       {{"NAME", "what the key is for"}},
       {{"grant", "NAMESPACE:ROLE", "read, write or admin on a namespace, or on *", 'g', true,
         true},
        {"expires-in", "DURATION", "when it stops working, such as 30d"},
        {"rpm", "N", "calls a minute (default the server's)"}},
       {"cookix keys create web --grant team_a:read",
        "cookix keys create ops --grant '*:admin' --expires-in 30d > ops.key"},
       Create},
      {"keys list",
       {"keys"},
       "list the keys, without secrets",
       {},
       {{"all", "", "revoked and expired ones too"}},
       {"cookix keys list --all"},
       List},
      {"keys revoke", {}, "revoke a key at once", {id}, {}, {"cookix keys revoke ck_1a2b"}, Revoke},
      {"keys rotate",
       {},
       "give a key a new secret",
       {id},
       {{"grace", "DURATION", "how long the old secret still works (default not at all)"}},
       {"cookix keys rotate ck_1a2b --grace 1h"},
       Rotate},
      {"keys whoami", {"whoami"}, "say who the caller is", {}, {}, {"cookix keys whoami"}, WhoAmI},
  };
}

}  // namespace cookix::cli
