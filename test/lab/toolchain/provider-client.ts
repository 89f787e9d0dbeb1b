/**
 * Speaks to a Pulumi resource provider as the engine does: Check, Diff, Create, Update and Delete over gRPC, and the
 * log lines that it sends back. For tests of a provider by itself.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import {
  credentials,
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type ServiceError,
  type sendUnaryData,
} from "@grpc/grpc-js";
import engineServices from "@pulumi/pulumi/proto/engine_grpc_pb.js";
import type engine from "@pulumi/pulumi/proto/engine_pb.js";
import providerServices from "@pulumi/pulumi/proto/provider_grpc_pb.js";
import provider from "@pulumi/pulumi/proto/provider_pb.js";
import empty from "google-protobuf/google/protobuf/empty_pb.js";
import structure from "google-protobuf/google/protobuf/struct_pb.js";

/** Key of an object that marks a value of the engine as something else (pulumi/sdk v3.274.1 go/common/resource/sig/sig.go). */
const SIGNATURE = "4dabf18193072939515e22adb298388d";
const SECRET = "1b47061264138c4ac30d75fd1eb44270";

/** A value that is not known before `up` (pulumi/sdk v3.274.1 go/common/resource/plugin/rpc.go, `UnknownStringValue`). */
export const UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";

/** Name that the provider gave the resource; any does. */
const ID = "device";

type Client = InstanceType<typeof providerServices.ResourceProviderClient>;

/** Properties of a resource as the engine sends and gets them. */
export type Properties = Record<string, structure.JavaScriptValue>;

/** What a provider says of two sets of inputs: the names that differ, and by path how, in the engine's own words. */
export interface Difference {
  readonly names: readonly string[];
  readonly replaces: readonly string[];
  readonly detail: Readonly<Record<string, string>>;
}

/** One running provider. Each call rejects with the provider's own error. */
export interface ProviderClient {
  /** Lines that the provider has logged so far. */
  readonly log: readonly string[];
  /** @returns inputs that the provider refuses, by name */
  check(inputs: Properties): Promise<Record<string, string>>;
  diff(old: Properties, news: Properties): Promise<Difference>;
  /** @returns the state; `preview` runs nothing; `timeout` in seconds, 0 is none. */
  create(inputs: Properties, options?: { preview?: boolean; timeout?: number }): Promise<Properties>;
  update(state: Properties, inputs: Properties, options?: { preview?: boolean }): Promise<Properties>;
  delete(state: Properties): Promise<void>;
  /** What the engine does at Ctrl-C. */
  cancel(): Promise<void>;
  /** Ends the process. */
  stop(): Promise<void>;
}

/**
 * Marks a value as secret.
 * @param value the value
 * @returns the value as the engine sends it
 */
export function secret(value: structure.JavaScriptValue): Properties {
  return { [SIGNATURE]: SECRET, value };
}

/**
 * Starts a provider, and what it needs of an engine.
 * @param executable path of the provider
 * @param type token of the resource type, `command:local:Command`
 * @param env environment of the process
 * @returns the provider, configured
 */
export async function startProvider(
  executable: string,
  type: string,
  env: NodeJS.ProcessEnv = process.env,
): Promise<ProviderClient> {
  const log: string[] = [];
  const engineServer = await startEngine((line) => log.push(line));
  const child = spawn(executable, [`127.0.0.1:${engineServer.port}`], { env, stdio: ["ignore", "pipe", "inherit"] });
  const [port] = (await once(createInterface(child.stdout), "line")) as [string];
  const urn = `urn:pulumi:stack::project::${type}::device`;
  const client = new providerServices.ResourceProviderClient(`127.0.0.1:${port}`, credentials.createInsecure());
  const configure = new provider.ConfigureRequest();
  configure.setAcceptsecrets(true);
  configure.setAcceptresources(true);
  configure.setSendsOldInputs(true);
  configure.setSendsOldInputsToDelete(true);
  configure.setArgs(struct({}));
  await unary(client, client.configure)(configure);
  return {
    log,
    ...comparisons(client, urn),
    ...operations(client, urn),
    async stop() {
      client.close();
      child.kill();
      if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
      engineServer.server.forceShutdown();
    },
  };
}

/** The engine's side: a server that takes log lines. */
async function startEngine(take: (line: string) => void): Promise<{ server: Server; port: number }> {
  const server = new Server();
  server.addService(engineServices.EngineService, {
    log(call: ServerUnaryCall<engine.LogRequest, empty.Empty>, done: sendUnaryData<empty.Empty>) {
      take(call.request.getMessage());
      done(null, new empty.Empty());
    },
  });
  const bind = promisify(server.bindAsync.bind(server));
  return { server, port: await bind("127.0.0.1:0", ServerCredentials.createInsecure()) };
}

/** What the engine asks before it acts. */
function comparisons(client: Client, urn: string): Pick<ProviderClient, "check" | "diff"> {
  return {
    async check(inputs: Properties) {
      const request = new provider.CheckRequest();
      request.setUrn(urn);
      request.setNews(struct(inputs));
      const answer = await unary<provider.CheckRequest, provider.CheckResponse>(client, client.check)(request);
      return Object.fromEntries(answer.getFailuresList().map((one) => [one.getProperty(), one.getReason()]));
    },
    async diff(old: Properties, news: Properties): Promise<Difference> {
      const request = new provider.DiffRequest();
      request.setUrn(urn);
      request.setId(ID);
      request.setOlds(struct({ ...old, stdout: "", stderr: "" }));
      request.setOldInputs(struct(old));
      request.setNews(struct(news));
      const answer = await unary<provider.DiffRequest, provider.DiffResponse>(client, client.diff)(request);
      const kinds = Object.entries(provider.PropertyDiff.Kind);
      const kindOf = (kind: number) => kinds.find(([, number]) => number === kind)?.[0] ?? "?";
      const detail: [string, string][] = [];
      answer.getDetaileddiffMap().forEach((one: provider.PropertyDiff, path: string) => {
        detail.push([path, kindOf(one.getKind())]);
      });
      return {
        names: answer.getDiffsList().sort(),
        replaces: answer.getReplacesList().sort(),
        detail: Object.fromEntries(detail),
      };
    },
  };
}

/** What the engine has done, and how it stops that. */
function operations(client: Client, urn: string): Pick<ProviderClient, "create" | "update" | "delete" | "cancel"> {
  return {
    async create(inputs: Properties, { preview = false, timeout = 0 } = {}) {
      const request = new provider.CreateRequest();
      request.setUrn(urn);
      request.setProperties(struct(inputs));
      request.setPreview(preview);
      request.setTimeout(timeout);
      const answer = await unary<provider.CreateRequest, provider.CreateResponse>(client, client.create)(request);
      return answer.getProperties()?.toJavaScript() ?? {};
    },
    async update(state: Properties, inputs: Properties, { preview = false } = {}) {
      const request = new provider.UpdateRequest();
      request.setUrn(urn);
      request.setId(ID);
      request.setOlds(struct(state));
      request.setNews(struct(inputs));
      request.setPreview(preview);
      const answer = await unary<provider.UpdateRequest, provider.UpdateResponse>(client, client.update)(request);
      return answer.getProperties()?.toJavaScript() ?? {};
    },
    async delete(state: Properties) {
      const request = new provider.DeleteRequest();
      request.setUrn(urn);
      request.setId(ID);
      request.setProperties(struct(state));
      await unary(client, client.delete)(request);
    },
    async cancel() {
      await unary(client, client.cancel)(new empty.Empty());
    },
  };
}

function struct(properties: Properties): structure.Struct {
  return structure.Struct.fromJavaScript(properties);
}

/** One call of a client as a promise. */
function unary<Request, Response>(
  client: object,
  method: (request: Request, done: (error: ServiceError | null, answer: Response) => void) => unknown,
): (request: Request) => Promise<Response> {
  return (request) =>
    new Promise((resolve, reject) => {
      method.call(client, request, (error, answer) => (error ? reject(new Error(error.details)) : resolve(answer)));
    });
}
