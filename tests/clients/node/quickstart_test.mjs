// The quickstart's calls from Node against a real server.
//
//   node quickstart_test.mjs TARGET PROTO_DIR
//
// Runs by itself in the test suite (tests/clients/run_client_test.py starts the
// server). Each case prints "ok NAME" or "not ok NAME".
import assert from "node:assert/strict";
import { connect, errorInfo, status } from "./cookix.mjs";

const [target, protoDir] = process.argv.slice(2);
const cookix = connect({ target, protoDir });
const ns = "node-quickstart";

const put = (key, content, properties = {}) =>
  cookix.object.PutObject({ namespace: ns, write: { object: { ref: { key }, content, properties } } });
const link = (source, relation, destination, weight) =>
  cookix.graph.PutEdge({
    namespace: ns,
    edge: { source: { key: source }, relation, target: { key: destination }, weight },
  });

const look = (values, options = {}) =>
  cookix.search.Search({ namespace: ns, collection: "shapes", vector: { field: "shape", vector: { values } }, ...options });

// Sends requests down the stream; its answers.
function insertVectors(requests) {
  return new Promise((resolve, reject) => {
    const call = cookix.search.InsertVectors();
    const answers = [];
    call.on("data", (answer) => answers.push(answer));
    call.on("end", () => resolve(answers));
    call.on("error", reject);
    requests.forEach((request) => call.write(request));
    call.end();
  });
}

async function failsWith(promise, code, reason, field) {
  const error = await promise.then(() => assert.fail("the call should have failed"), (e) => e);
  assert.equal(error.code, code, error.message);
  const info = errorInfo(error);
  assert.ok(info, "no google.rpc.ErrorInfo");
  assert.equal(info.domain, "cookix");
  assert.equal(info.reason, reason);
  if (field) assert.equal(info.metadata.field, field);
  assert.ok(info.metadata.remedy, "no remedy");
  return info;
}

const cases = {
  async "create a namespace"() {
    const { created } = await cookix.catalog.CreateNamespace({ namespace: { name: ns } });
    assert.equal(created, true);
  },
  async "put and get objects"() {
    const { result, created } = await put("rain", "Water that falls", {
      wet: { bool_value: true }, drops: { int_value: "9007199254740993" },
    });
    assert.equal(created, true);
    for (const key of ["wet street", "slippery street", "umbrella", "drought"]) await put(key, key);
    const { object } = await cookix.object.GetObject({
      namespace: ns, ref: { key: "rain" }, options: { min_position: result.position },
    });
    assert.equal(object.content, "Water that falls");
    assert.equal(object.properties.wet.bool_value, true);
    assert.equal(object.properties.drops.int_value, "9007199254740993");
    assert.equal(object.version, result.commit);
  },
  async "link objects"() {
    await link("rain", "causes", "wet street", 0.5);
    await link("wet street", "causes", "slippery street", 0.25);
    await link("umbrella", "protects_from", "rain", 1);
    const { created } = await link("drought", "contradicts", "rain", 0.1);
    assert.equal(created, true);
  },
  async "a query answers with its path"() {
    const { hits } = await cookix.reasoning.Query({
      namespace: ns, anchor: { key: "rain" }, target: { key: "slippery street" }, with_explanations: true,
    });
    assert.equal(hits.length, 1);
    const [hit] = hits;
    assert.equal(hit.hops, 2);
    assert.deepEqual(hit.path.steps.map((s) => [s.source.key, s.relation, s.target.key]), [
      ["rain", "causes", "wet street"],
      ["wet street", "causes", "slippery street"],
    ]);
    assert.ok(Math.abs(hit.path.weight - 0.75) < 1e-9);
    assert.match(hit.explanation, /rain --\[causes\]--> wet street --\[causes\]--> slippery street/);
  },
  async "a statement and its plan"() {
    const query = { search_text: "SEARCH default KEYS ('rain') FOLLOW causes HOPS 2" };
    const { plan, bring_text } = await cookix.query.Compile({ namespace: ns, query });
    assert.deepEqual(plan.steps.map((step) => step.action), ["seed", "expand", "project"]);
    for (const work of [{ query }, { plan }, { query: { bring_text } }]) {
      const { hits, stages } = await cookix.query.Execute({ namespace: ns, explain: true, ...work });
      assert.deepEqual(hits.map((hit) => [hit.ref.key, hit.hops]), [
        ["wet street", 1],
        ["slippery street", 2],
      ]);
      assert.deepEqual(stages.map((stage) => Number(stage.output)), [1, 2, 2]);
    }
  },
  async "contradictions"() {
    const { hits } = await cookix.reasoning.FindContradictions({ namespace: ns, ref: { key: "rain" } });
    assert.deepEqual(hits.map((hit) => hit.ref.key), ["drought"]);
  },
  async "neighbours in both directions"() {
    const { neighbors } = await cookix.graph.ListNeighbors({
      namespace: ns, ref: { key: "rain" }, direction: "DIRECTION_BOTH",
    });
    assert.deepEqual(neighbors.map((n) => [n.ref.key, n.direction]).sort(), [
      ["drought", "DIRECTION_IN"],
      ["umbrella", "DIRECTION_IN"],
      ["wet street", "DIRECTION_OUT"],
    ]);
  },
  async "a scan in pages"() {
    const keys = [];
    let token = "";
    let pages = 0;
    do {
      const page = await cookix.object.ScanObjects({ namespace: ns, page_size: 2, page_token: token });
      keys.push(...page.objects.map((object) => object.ref.key));
      token = page.next_page_token;
      pages += 1;
    } while (token);
    assert.deepEqual(keys, ["drought", "rain", "slippery street", "umbrella", "wet street"]);
    assert.equal(pages, 3);
  },
  async "a stream of objects"() {
    const keys = [];
    for await (const chunk of cookix.object.StreamObjects({ namespace: ns, with_edges: true })) {
      keys.push(...chunk.objects.map((write) => write.object.ref.key));
    }
    assert.equal(keys.length, 5);
  },
  async "a bulk stream is answered in order"() {
    const call = cookix.object.BulkWrite();
    const answers = [];
    const ended = new Promise((resolve, reject) => {
      call.on("data", (answer) => answers.push(answer.sequence));
      call.on("end", resolve);
      call.on("error", reject);
    });
    for (let i = 1; i <= 10; i += 1) {
      call.write({
        sequence: String(i),
        write: { namespace: ns, mutations: [{ put_object: { object: { ref: { key: `bulk/${i}` } } } }] },
      });
    }
    call.end();
    await ended;
    assert.deepEqual(answers, ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10"]);
    const { count } = await cookix.object.CountObjects({ namespace: ns });
    assert.equal(count, "15");
  },
  async "a collection with vectors"() {
    const { created } = await cookix.catalog.CreateCollection({
      namespace: ns,
      collection: {
        name: "shapes",
        vector_fields: [{ name: "shape", dimension: 3, metric: "VECTOR_METRIC_L2" }],
      },
    });
    assert.equal(created, true);
    const batches = [1, 2, 3, 4].map((i) => ({
      namespace: ns, collection: "shapes", field: "shape", sequence: String(i),
      keys: [`${i}/a`, `${i}/b`],
      values: [i, 0, 0, i, 1, 0],
      properties: [1, 2].map(() => ({ fields: { size: { int_value: String(i) } } })),
    }));
    const answers = await insertVectors(batches);
    assert.deepEqual(answers.map((a) => [a.sequence, a.created_count]), [
      ["1", "2"], ["2", "2"], ["3", "2"], ["4", "2"],
    ]);
  },
  async "a search finds what was written"() {
    const { hits, diagnostics } = await look([2, 0, 0], { limit: 3 });
    assert.deepEqual(hits.map((hit) => hit.ref.key), ["2/a", "1/a", "2/b"]);
    assert.deepEqual(hits.slice(0, 2).map((hit) => hit.distance), [0, 1]);
    assert.ok(Number(diagnostics.candidates_considered) >= 3);
    await cookix.object.PutObject({
      namespace: ns,
      write: {
        object: { ref: { collection: "shapes", key: "new" }, vectors: { shape: { values: [2, 0, 0.5] } } },
      },
    });
    const again = await look([2, 0, 0], { limit: 2 });
    assert.deepEqual(again.hits.map((hit) => hit.ref.key), ["2/a", "new"]);
  },
  async "a search with a filter"() {
    const filter = {
      comparison: { field: "size", op: "COMPARISON_OPERATOR_GREATER_EQUAL", value: { int_value: "3" } },
    };
    const { hits, diagnostics } = await look([0, 0, 0], { limit: 2, filter, with_objects: true });
    assert.deepEqual(hits.map((hit) => hit.ref.key), ["3/a", "3/b"]);
    assert.equal(hits[0].object.properties.size.int_value, "3");
    assert.equal(diagnostics.filter_matches, "4");
  },
  async "words and vectors together"() {
    await cookix.catalog.CreateCollection({
      namespace: ns,
      collection: {
        name: "notes",
        text_fields: [{ name: "content", analyzer: { language: "en" } }],
        vector_fields: [{ name: "topic", dimension: 2 }],
      },
    });
    const texts = { a: "Heavy rains flooded the valley", b: "A coat for the rain", c: "Sunny" };
    for (const [i, [key, content]] of Object.entries(texts).entries()) {
      await cookix.object.PutObject({
        namespace: ns,
        write: { object: { ref: { collection: "notes", key }, content, vectors: { topic: { values: [i + 1, 1] } } } },
      });
    }
    const text = { text: "flooding rain" };
    const found = await cookix.search.Search({
      namespace: ns, collection: "notes", text, count_matches: true, snippets: { max_words: 3 },
    });
    assert.deepEqual(found.hits.map((hit) => hit.ref.key), ["a", "b"]);
    assert.equal(found.total_matches, "2");
    const [snippet] = found.hits[0].snippets;
    const bytes = Buffer.from(snippet.text);
    assert.deepEqual(
      snippet.highlights.map(({ begin, end }) => bytes.subarray(begin, end).toString()), ["rains", "flooded"]);
    const both = await cookix.search.Search({
      namespace: ns, collection: "notes", with_lanes: true, explain: true, fusion: { rank_constant: 1 },
      lanes: [{ text, weight: 2 }, { vector: { vector: { values: [3, 1] }, exact: true } }],
    });
    assert.deepEqual(both.lanes.map((lane) => lane.name), ["text", "vector"]);
    assert.equal(both.hits[0].ref.key, "a");
    assert.ok(Math.abs(both.hits[0].score - (2 / 2 + 1 / 4)) < 1e-12);
    assert.ok(both.stages.some((stage) => stage.name === "fuse"));
    await failsWith(
      cookix.search.Search({
        namespace: ns, collection: "notes", text: { text: "(rain", mode: "TEXT_QUERY_MODE_RAW" },
      }), status.INVALID_ARGUMENT, "INVALID_FIELD", "text.text");
  },
  async "errors of vectors"() {
    const error = await look([1, 2]).then(() => assert.fail("the call should have failed"), (e) => e);
    assert.match(error.details, /2/);
    assert.match(error.details, /3/);
    const info = await failsWith(look([1, 2]), status.INVALID_ARGUMENT, "INVALID_FIELD");
    assert.match(info.metadata.field, /^vector/);
    await failsWith(look([1, 2, NaN]), status.INVALID_ARGUMENT, "INVALID_FIELD");
    await failsWith(
      insertVectors([{ namespace: ns, collection: "shapes", field: "shape", keys: ["x"], values: [1, 2] }]),
      status.INVALID_ARGUMENT, "INVALID_FIELD");
    await failsWith(
      cookix.search.DescribeIndex({ namespace: ns, collection: "shapes", field: "colour" }),
      status.NOT_FOUND, "FIELD_NOT_FOUND", "field");
  },
  async "a watch goes on where another one ended"() {
    const request = { namespace: ns, with_before: true, objects: { filter: { existence: { field: "level" } } } };
    // Watches, has `write` done when that began, and gives the changes up to its commit.
    const watchWhile = (start, write) => new Promise((resolve, reject) => {
      const stream = cookix.watch.Watch({ ...request, ...start });
      const changes = [];
      let commit = null;
      stream.on("error", (error) => error.code !== status.CANCELLED && reject(error));
      stream.on("data", async (message) => {
        for (const told of message.commits) changes.push(...told.changes);
        commit ??= write().then((answer) => BigInt(answer.result.commit), reject);
        if (BigInt(message.commit) < (await commit)) return;
        stream.cancel();
        resolve({ changes, position: message.position });
      });
    });
    const object = (properties) => () =>
      cookix.object.PutObject({ namespace: ns, write: { object: { ref: { key: "river" }, properties } } });
    const first = await watchWhile({}, object({ level: { int_value: "3" } }));
    assert.deepEqual(first.changes.map(({ object: { ref, kind } }) => [ref.key, kind]),
      [["river", "CHANGE_KIND_CREATED"]]);
    const { changes } = await watchWhile({ after_position: first.position }, object({}));
    assert.equal(changes.length, 1);
    assert.equal(changes[0].object.transition, "FILTER_TRANSITION_LEFT");
    assert.equal(changes[0].object.before.properties.level.int_value, "3");
    await failsWith(
      watchWhile({ namespace: "nowhere" }, object({})), status.NOT_FOUND, "NAMESPACE_NOT_FOUND", "namespace");
  },
  async "errors say what to do"() {
    await failsWith(put("", "no key"), status.INVALID_ARGUMENT, "INVALID_FIELD", "write.object.ref.key");
    await failsWith(link("rain", "causes", "flood", -1), status.INVALID_ARGUMENT, "INVALID_FIELD", "edge.weight");
    const info = await failsWith(
      cookix.object.GetObject({ namespace: ns, ref: { key: "nothing" } }), status.NOT_FOUND, "OBJECT_NOT_FOUND");
    assert.equal(info.metadata.retryable, "false");
    await failsWith(
      cookix.object.GetObject({ namespace: "nowhere", ref: { key: "rain" } }), status.NOT_FOUND,
      "NAMESPACE_NOT_FOUND", "namespace");
  },
  async "a request id applies once"() {
    const request = {
      namespace: ns, write: { object: { ref: { key: "once" } } }, options: { request_id: "node-1" },
    };
    const first = await cookix.object.PutObject(request);
    const second = await cookix.object.PutObject(request);
    assert.equal(first.result.replayed, false);
    assert.equal(second.result.replayed, true);
    assert.equal(second.result.commit, first.result.commit);
  },
  async "deadlines"() {
    const error = await cookix.object
      .GetObject({ namespace: ns, ref: { key: "rain" } }, { timeoutMs: -1 })
      .then(() => null, (e) => e);
    assert.equal(error?.code, status.DEADLINE_EXCEEDED);
  },
  async "delete"() {
    const request = { namespace: ns, delete: { ref: { key: "once" } } };
    assert.equal((await cookix.object.DeleteObject(request)).existed, true);
    assert.equal((await cookix.object.DeleteObject(request)).existed, false);
  },
};

let failed = 0;
for (const [name, run] of Object.entries(cases)) {
  try {
    await run();
    console.log(`ok ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`not ok ${name}`);
    console.error(error);
  }
}
cookix.close();
process.exit(failed ? 1 : 0);
