/**
 * One device from its profile to what is sent to it: the payload, packed, and the connection. Pure.
 */
import { createHash } from "node:crypto";
import type { ArtifactsLock, Profile } from "../inventory/index.ts";
import { packPayload, removeCommand, renderPayload } from "./apply.ts";
import { resolveArtifacts } from "./artifact.ts";
import type { RenderContext } from "./distributions/index.ts";
import { deviceProgram } from "./program.ts";

/**
 * How the command provider reaches a device: `@pulumi/command` `remote.Connection`, only the fields that are used. Built
 * field by field: an unknown field makes the provider print the whole object (pulumi-command#773).
 */
export interface Connection {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  /** Pinned: without it the provider would accept any host. */
  readonly hostKey: string;
  /** 0: the probe has just seen the banner, and every retry would repeat a wrong key or a dark host. */
  readonly dialErrorLimit: 0;
  /** Seconds for one TCP connect. */
  readonly perDialTimeout: 5;
  readonly proxy?: {
    readonly host: string;
    readonly port: number;
    readonly user: string;
    readonly hostKey: string;
    readonly dialErrorLimit: 0;
    readonly perDialTimeout: 5;
  };
}

/** What a run sends to one device. */
export interface DeviceSpec {
  readonly id: string;
  readonly connection: Connection;
  /** Remote command, short and the same for every device of a region. */
  readonly create: string;
  /** The packed payload. */
  readonly stdin: string;
  /** True where {@link stdin} holds a password or a token. */
  readonly secret: boolean;
  /** Hash of the desired state; the device reports it back once it is applied. */
  readonly hash: string;
  /** SHA-256 of the program that the device must have installed. */
  readonly program: string;
  /** What `edge-fleet push` has to bring, see {@link pushedArtifacts}. */
  readonly pushed: string;
  /** Remote command that erases the device when it leaves the stack; undefined: it is left as it is. */
  readonly remove: string | undefined;
}

const DIAL = { dialErrorLimit: 0, perDialTimeout: 5 } as const;

/**
 * @param context the server that an agent joins, and the secrets. Default: none
 * @throws Error when the device is not enrolled (no host key) or the lock lacks its artifact
 */
export function planDevice(profile: Profile, lock: ArtifactsLock, context: RenderContext = {}): DeviceSpec {
  if (profile.hostKey === undefined) {
    throw new Error(`device ${profile.id} has no pinned host key - run edge-fleet enroll ${profile.region}`);
  }
  const payload = renderPayload(profile, lock, context);
  return {
    id: profile.id,
    connection: connectionOf(profile, profile.hostKey),
    ...packPayload(payload, profile.region),
    secret: payload.secret,
    hash: payload.hash,
    program: deviceProgram().sha256,
    pushed: pushedArtifacts(profile, lock),
    remove: profile.decommission === "wipe" ? removeCommand(profile.id) : undefined,
  };
}

/**
 * Tells whether what `edge-fleet push` has brought is still what the device needs: the same text for the same artifacts,
 * empty where the device fetches everything.
 * @throws Error when the lock lacks an artifact
 */
export function pushedArtifacts(profile: Profile, lock: ArtifactsLock): string {
  const pushed = resolveArtifacts(profile, lock).filter(({ delivery }) => delivery === "push");
  if (pushed.length === 0) return "";
  const sums = pushed.map(({ sha256 }) => sha256).sort();
  return createHash("sha256").update(sums.join(" ")).digest("hex").slice(0, 16);
}

function connectionOf({ host, ssh }: Profile, hostKey: string): Connection {
  const direct = { host, port: ssh.port, user: ssh.user, hostKey, ...DIAL };
  if (ssh.proxy === undefined) return direct;
  const { host: proxyHost, port, user, hostKey: proxyHostKey } = ssh.proxy;
  return { ...direct, proxy: { host: proxyHost, port, user, hostKey: proxyHostKey, ...DIAL } };
}
