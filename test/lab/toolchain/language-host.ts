/**
 * A STAND-IN for Pulumi's Node language host, for machines where only package registries answer: answers the engine's
 * gRPC requests with one `node @pulumi/pulumi/cmd/run` process per run. It serves a program whose packages are
 * installed already; it installs nothing, generates no code and reports no required plugins (the engine then takes each
 * plugin from PATH when a resource asks for it). Started by the engine as `pulumi-language-nodejs <engine address>`;
 * prints its port.
 */
import { spawn } from "node:child_process";
import { createRequire, flushCompileCache } from "node:module";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import {
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type ServiceDefinition,
  type sendUnaryData,
  status,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import languageServices from "@pulumi/pulumi/proto/language_grpc_pb.js";
import language from "@pulumi/pulumi/proto/language_pb.js";
import plugin from "@pulumi/pulumi/proto/plugin_pb.js";

/** Exit code of a program whose error is already on the screen (`@pulumi/pulumi/cmd/run`). */
const BAIL = 32;

/** As the official host: a checkpoint or a big configuration passes in one message. */
const MAX_MESSAGE_BYTES = 400 * 1024 * 1024;

/** What the engine says of the program, from `Pulumi.yaml` and the run. */
interface Run {
  readonly request: InstanceType<typeof language.RunRequest>;
  /** Address of the engine's own gRPC server, for log messages. */
  readonly engine: string;
}

/** One child process. */
interface Command {
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
}

/** Options under `runtime.options` of `Pulumi.yaml` that this host knows. */
interface RuntimeOptions {
  /** Arguments for node itself, separated by blanks. */
  readonly nodeargs?: string;
  /** false: node runs the program as it is, without ts-node. Default: true, as with the official host. */
  readonly typescript?: boolean;
}

/**
 * The process that runs a program.
 * @param run the engine's request and address
 * @returns arguments for node, environment and working directory
 */
export function planRun({ request, engine }: Run): Command {
  const info = request.getInfo();
  const directory = info?.getProgramDirectory() || request.getPwd();
  const options = (info?.getOptions()?.toJavaScript() ?? {}) as RuntimeOptions;
  const entry = createRequire(join(resolve(directory), "package.json")).resolve("@pulumi/pulumi/cmd/run");
  const flags = {
    monitor: request.getMonitorAddress(),
    engine,
    organization: request.getOrganization(),
    project: request.getProject(),
    "root-directory": info?.getRootDirectory() ?? "",
    stack: request.getStack(),
    pwd: request.getPwd(),
    parallel: request.getParallel() > 0 ? String(request.getParallel()) : "",
  };
  const args = [
    ...(options.nodeargs?.split(/\s+/).filter(Boolean) ?? []),
    entry,
    ...Object.entries(flags).flatMap(([name, value]) => (value ? [`--${name}`, value] : [])),
    ...(request.getDryrun() ? ["--dry-run"] : []),
    info?.getEntryPoint() || request.getProgram() || ".",
    ...request.getArgsList(),
  ];
  const env = {
    ...process.env,
    PULUMI_CONFIG: JSON.stringify(Object.fromEntries(request.getConfigMap().entries())),
    PULUMI_CONFIG_SECRET_KEYS: JSON.stringify(request.getConfigsecretkeysList()),
    PULUMI_NODEJS_TYPESCRIPT: String(options.typescript ?? true),
  };
  return { args, env, cwd: resolve(directory) };
}

/**
 * What a program's end means for the engine.
 * @param code exit code, null when a signal ended it
 * @param signal name of that signal, null otherwise
 * @returns an empty message text on success; `bail` when the error is on the screen already
 */
export function describeExit(code: number | null, signal: string | null): { error: string; bail: boolean } {
  if (code === 0) return { error: "", bail: false };
  if (code === BAIL) return { error: "", bail: true };
  const how = code === null ? `was ended by ${signal}` : `exited with non-zero exit code: ${code}`;
  return { error: `Program ${how}`, bail: false };
}

function runProgram(
  call: ServerUnaryCall<InstanceType<typeof language.RunRequest>, InstanceType<typeof language.RunResponse>>,
  callback: sendUnaryData<InstanceType<typeof language.RunResponse>>,
  engine: string,
): void {
  const response = new language.RunResponse();
  const command = planRun({ request: call.request, engine });
  const child = spawn(process.execPath, command.args, {
    cwd: command.cwd,
    env: command.env,
    stdio: ["ignore", "inherit", "inherit"],
  });
  call.on("cancelled", () => child.kill("SIGTERM"));
  child.once("error", (error) => callback(error));
  child.once("exit", (code, signal) => {
    const { error, bail } = describeExit(code, signal);
    response.setError(error);
    response.setBail(bail);
    callback(null, response);
  });
}

/** Methods that a run needs; the rest answers UNIMPLEMENTED by itself. */
function implementation(engineAddress: string): UntypedServiceImplementation {
  let engine = engineAddress;
  return {
    handshake(
      call: ServerUnaryCall<InstanceType<typeof language.LanguageHandshakeRequest>, unknown>,
      callback: sendUnaryData<InstanceType<typeof language.LanguageHandshakeResponse>>,
    ) {
      engine = call.request.getEngineAddress() || engine;
      callback(null, new language.LanguageHandshakeResponse());
    },
    getPluginInfo(_call: unknown, callback: sendUnaryData<InstanceType<typeof plugin.PluginInfo>>) {
      callback(null, new plugin.PluginInfo());
    },
    getRequiredPackages(
      _call: unknown,
      callback: sendUnaryData<InstanceType<typeof language.GetRequiredPackagesResponse>>,
    ) {
      callback(null, new language.GetRequiredPackagesResponse());
    },
    getRequiredPlugins(
      _call: unknown,
      callback: sendUnaryData<InstanceType<typeof language.GetRequiredPluginsResponse>>,
    ) {
      callback(null, new language.GetRequiredPluginsResponse());
    },
    run(
      call: ServerUnaryCall<InstanceType<typeof language.RunRequest>, InstanceType<typeof language.RunResponse>>,
      callback: sendUnaryData<InstanceType<typeof language.RunResponse>>,
    ) {
      try {
        runProgram(call, callback, engine);
      } catch (error) {
        callback({ code: status.FAILED_PRECONDITION, details: String(error) });
      }
    },
  };
}

/** Ends this process when the engine has gone without ending it (a killed CLI would leave it behind). */
function exitWithParent(): void {
  const parent = process.ppid;
  setInterval(() => {
    if (process.ppid !== parent) process.exit(1);
  }, 1000).unref();
}

function main(): void {
  const { positionals } = parseArgs({ allowPositionals: true, strict: false });
  const server = new Server({
    "grpc.max_receive_message_length": MAX_MESSAGE_BYTES,
    "grpc.max_send_message_length": MAX_MESSAGE_BYTES,
  });
  const service = languageServices.LanguageRuntimeService as unknown as ServiceDefinition;
  server.addService(service, implementation(positionals[0] ?? ""));
  server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) => {
    if (error) throw error;
    // Node keeps what it has compiled when it ends, and the engine kills this process.
    flushCompileCache();
    process.stdout.write(`${port}\n`);
  });
  exitWithParent();
}

if (process.argv[1] === import.meta.filename) main();
