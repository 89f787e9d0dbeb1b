/**
 * One device from its profile to what is sent to it: the rendered apply script, packed, and the connection. Pure.
 */
import type { ArtifactsLock, Profile } from "../inventory/index.ts";
import { packApplyScript, renderApplyScript } from "./apply.ts";

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
  /** Remote command line, short and the same for every device but for the script's hash. */
  readonly create: string;
  /** The packed apply script. */
  readonly stdin: string;
  /** Hash of the desired state; the device reports it back once it is applied. */
  readonly hash: string;
}

const DIAL = { dialErrorLimit: 0, perDialTimeout: 5 } as const;

/**
 * @throws Error when the device is not enrolled (no host key) or the lock lacks its artifact
 */
export function planDevice(profile: Profile, lock: ArtifactsLock): DeviceSpec {
  if (profile.hostKey === undefined) {
    throw new Error(`device ${profile.id} has no pinned host key - run edge-fleet enroll ${profile.region}`);
  }
  const script = renderApplyScript(profile, lock);
  return {
    id: profile.id,
    connection: connectionOf(profile, profile.hostKey),
    ...packApplyScript(script),
    hash: script.hash,
  };
}

function connectionOf({ host, ssh }: Profile, hostKey: string): Connection {
  const direct = { host, port: ssh.port, user: ssh.user, hostKey, ...DIAL };
  if (ssh.proxy === undefined) return direct;
  const { host: proxyHost, port, user, hostKey: proxyHostKey } = ssh.proxy;
  return { ...direct, proxy: { host: proxyHost, port, user, hostKey: proxyHostKey, ...DIAL } };
}
