/** The engine's events over a socket: what a client of Pulumi's protocol sends arrives, and no file ever holds it. */
import assert from "node:assert/strict";
import { existsSync, lstatSync, readdirSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { test } from "node:test";
import { credentials } from "@grpc/grpc-js";
import service from "@pulumi/pulumi/proto/events_grpc_pb.js";
import protobuf from "@pulumi/pulumi/proto/events_pb.js";
import { type EngineEvent, receiveEvents } from "../../../cli/pulumi/events.ts";

const SECRET = "loopback0token";

/** Sends events as the CLI does. */
async function send(address: string, events: readonly EngineEvent[]): Promise<void> {
  const client = new service.EventsClient(address.replace(/^tcp:\/\//, ""), credentials.createInsecure());
  try {
    await new Promise<void>((resolve, reject) => {
      const stream = client.streamEvents((error) => (error === null ? resolve() : reject(error)));
      for (const event of events) {
        const request = new protobuf.EventRequest();
        request.setEvent(JSON.stringify(event));
        stream.write(request);
      }
      stream.end();
    });
  } finally {
    client.close();
  }
}

test("events arrive in order, also large ones, and nothing of them is in a file", async () => {
  const seen: EngineEvent[] = [];
  const { address, close } = await receiveEvents((event) => seen.push(event));
  const path = address.replace(/^tcp:\/\/unix:\/\//, "");
  const folder = dirname(path);
  const message = { severity: "debug", message: SECRET.repeat(500_000) };
  const events: EngineEvent[] = [{ diagnosticEvent: message }, { summaryEvent: {} }, { cancelEvent: {} }];
  await send(address, events);
  assert.deepEqual(seen, events);
  assert.equal(statSync(folder).mode & 0o777, 0o700);
  assert.deepEqual(readdirSync(folder), ["events.sock"]);
  assert.deepEqual([lstatSync(path).isSocket(), lstatSync(path).size], [true, 0]);
  close();
  assert.equal(existsSync(folder), false);
});

test("a client that breaks off disturbs nobody", async () => {
  const seen: EngineEvent[] = [];
  const { address, close } = await receiveEvents((event) => seen.push(event));
  const client = new service.EventsClient(address.replace(/^tcp:\/\//, ""), credentials.createInsecure());
  const stream = client.streamEvents(() => {});
  stream.on("error", () => {});
  stream.cancel();
  client.close();
  await send(address, [{ cancelEvent: {} }]);
  assert.deepEqual(seen, [{ cancelEvent: {} }]);
  close();
});
