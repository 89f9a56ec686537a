// A small CookiX client for Node, on @grpc/grpc-js and the .proto files alone.
//
//   import { connect } from "./cookix.mjs";
//   const cookix = connect({ target: "127.0.0.1:7625", protoDir: "proto" });
//   await cookix.object.PutObject({ write: { object: { ref: { key: "rain" } } } });
//   cookix.close();
//
// Messages are plain objects with the field names of the .proto files; 64-bit
// integers are strings, for JavaScript's numbers do not hold them all.
import { createRequire } from "node:module";
import path from "node:path";

// Modules come from node_modules beside this file, or from where the test suite
// has put them.
const base = process.env.COOKIX_NODE_MODULES;
const require = createRequire(base ? path.join(base, "..", "package.json") : import.meta.url);
const grpc = require("@grpc/grpc-js");
const protoLoader = require("@grpc/proto-loader");
const protobuf = require("protobufjs");

export const status = grpc.status;

const SERVICES = ["object", "graph", "reasoning", "search", "query", "catalog", "security", "admin", "watch"];

// google.rpc.Status and ErrorInfo, as far as CookiX uses them.
const rpc = protobuf.Root.fromJSON({
  nested: {
    Status: {
      fields: {
        code: { type: "int32", id: 1 },
        message: { type: "string", id: 2 },
        details: { rule: "repeated", type: "Any", id: 3 },
      },
    },
    Any: { fields: { type_url: { type: "string", id: 1 }, value: { type: "bytes", id: 2 } } },
    ErrorInfo: {
      fields: {
        reason: { type: "string", id: 1 },
        domain: { type: "string", id: 2 },
        metadata: { keyType: "string", type: "string", id: 3 },
      },
    },
  },
});
const Status = rpc.lookupType("Status");
const ErrorInfo = rpc.lookupType("ErrorInfo");

// What the server says beyond code and message: {reason, domain, metadata} with
// metadata.field, metadata.remedy and metadata.retryable. Null when there is
// nothing.
export function errorInfo(error) {
  const [bytes] = error.metadata?.get("grpc-status-details-bin") ?? [];
  if (!bytes) return null;
  for (const detail of Status.decode(bytes).details) {
    // protobufjs names fields in camel case.
    if ((detail.type_url ?? detail.typeUrl).endsWith("/google.rpc.ErrorInfo")) {
      return ErrorInfo.toObject(ErrorInfo.decode(detail.value), { defaults: true });
    }
  }
  return null;
}

// Connects. Calls are promises: client.<service>.<Method>(request, {timeoutMs}).
export function connect({ target, protoDir, apiKey = "", timeoutMs = 30000 }) {
  const definition = protoLoader.loadSync(
    SERVICES.map((name) => `cookix/v1/${name}_service.proto`),
    { includeDirs: [protoDir], keepCase: true, longs: String, enums: String, defaults: true, oneofs: true },
  );
  const api = grpc.loadPackageDefinition(definition).cookix.v1;
  const credentials = grpc.credentials.createInsecure();
  const client = { close() {} };
  const stubs = [];
  for (const name of SERVICES) {
    const Service = api[name[0].toUpperCase() + name.slice(1) + "Service"];
    const stub = new Service(target, credentials);
    stubs.push(stub);
    client[name] = {};
    for (const [method, shape] of Object.entries(Service.service)) {
      const metadata = () => {
        const entries = new grpc.Metadata();
        if (apiKey) entries.set("authorization", `Bearer ${apiKey}`);
        return entries;
      };
      if (shape.requestStream) {
        client[name][method] = () => stub[method](metadata());
      } else if (shape.responseStream) {
        client[name][method] = (request) => stub[method](request, metadata());
      } else {
        client[name][method] = (request, options = {}) =>
          new Promise((resolve, reject) => {
            const deadline = Date.now() + (options.timeoutMs ?? timeoutMs);
            stub[method](request, metadata(), { deadline }, (error, response) =>
              error ? reject(error) : resolve(response));
          });
      }
    }
  }
  client.close = () => stubs.forEach((stub) => stub.close());
  return client;
}
