/**
 * The engine's events as they come, without a file: from a running `pulumi` to what was learnt of its run. The events
 * hold payloads with passwords and tokens, in the SDK's debug messages, so they never reach a disk: a killed process
 * leaves an empty socket.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** One event: an object with one field that says what kind it is. sdk/go/common/apitype/events.go of Pulumi. */
export interface EngineEvent {
  /** Asked or ended: the last word of a preview or an update. */
  readonly summaryEvent?: unknown;
  /** The last event of a run, cancelled or done. */
  readonly cancelEvent?: unknown;
  /** A message; `urn` is missing where it is about no resource. Colours are written `<{%reset%}>`. */
  readonly diagnosticEvent?: { readonly severity: string; readonly message: string; readonly urn?: string };
}

/** A place where the engine sends its events. */
export interface EventSocket {
  /** For `--event-log`. */
  readonly address: string;
  /** Ends it and removes what it left. */
  close(): void;
}

/**
 * Listens on a socket in a folder that only this user may enter.
 * @param onEvent called with each event, in order
 * @throws Error when the socket cannot be made
 */
export async function receiveEvents(onEvent: (event: EngineEvent) => void): Promise<EventSocket> {
  const [{ Server, ServerCredentials }, { default: service }, { default: protobuf }] = await Promise.all([
    import("@grpc/grpc-js"),
    import("@pulumi/pulumi/proto/events_grpc_pb.js"),
    import("google-protobuf/google/protobuf/empty_pb.js"),
  ]);
  const directory = mkdtempSync(join(tmpdir(), "edge-fleet-pulumi-"));
  const address = `unix://${join(directory, "events.sock")}`;
  const server = new Server({ "grpc.max_receive_message_length": -1 });
  const close = (): void => {
    server.forceShutdown();
    rmSync(directory, { recursive: true, force: true });
  };
  server.addService(service.EventsService, {
    streamEvents: (call: Stream, answer: (error: null, empty: object) => void) => {
      call.on("data", (request) => onEvent(JSON.parse(request.getEvent()) as EngineEvent));
      call.on("end", () => answer(null, new protobuf.Empty()));
      // The engine was killed; how it ended is told elsewhere.
      call.on("error", () => {});
    },
  });
  try {
    await new Promise<void>((resolve, reject) => {
      server.bindAsync(address, ServerCredentials.createInsecure(), (error) => (error ? reject(error) : resolve()));
    });
  } catch (error) {
    close();
    throw error;
  }
  // The CLI hands what follows tcp:// to its gRPC client, which knows unix sockets.
  return { address: `tcp://${address}`, close };
}

/** What the server sees of a stream of events. */
interface Stream {
  on(name: "data", listener: (request: { getEvent(): string }) => void): unknown;
  on(name: "end" | "error", listener: () => void): unknown;
}
