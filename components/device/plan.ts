/**
 * One device from its profile to what is sent to it: the payload, packed, and the connection. Pure.
 */
import type { ArtifactsLock, Profile } from "../inventory/index.ts";
import type { RenderContext } from "../plan/distributions/distribution-plan.ts";
import { packPayload, removeCommand, renderPayload } from "../plan/payload.ts";
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
  /** Jump host. Absent: none. */
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
  /** What `edge-fleet push` has to bring, see `pushedArtifacts`. */
  readonly pushed: string;
}

/** What a run has done to a device that has left the inventory. Its connection stands in the state alone. */
export interface ErasureSpec {
  /** Never used: the one in the state is. Should there be none, no connection comes about. */
  readonly connection: Connection;
  /** Never run, as above. */
  readonly create: string;
  /** Remote command that erases the device. */
  readonly update: string;
}

/** Host key where none may be used: no connection comes about with it. */
export const UNPINNED = "no-host-key-is-pinned";

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
    pushed: payload.pushed,
  };
}

/**
 * The same as a text that differs, so that the engine runs it although nothing of it has changed: for a device that was
 * put back after an erasure which may have begun.
 */
export function appliedAnew(spec: DeviceSpec): DeviceSpec {
  return { ...spec, create: `${spec.create}# put back while it was to be wiped\n` };
}

/** What erases a device that has left the inventory. */
export function planErasure(id: string): ErasureSpec {
  const nowhere = { host: "left-the-inventory.invalid", port: 22, user: "nobody", hostKey: UNPINNED };
  return { connection: { ...nowhere, ...DIAL }, create: "exit 1\n", update: removeCommand(id) };
}

function connectionOf({ host, ssh }: Profile, hostKey: string): Connection {
  const direct = { host, port: ssh.port, user: ssh.user, hostKey, ...DIAL };
  if (ssh.proxy === undefined) return direct;
  const { host: proxyHost, port, user, hostKey: proxyHostKey } = ssh.proxy;
  return { ...direct, proxy: { host: proxyHost, port, user, hostKey: proxyHostKey, ...DIAL } };
}
