/** What a device lab is, as its users and its parts see it. No behaviour. */
import type { CommandResult } from "./command.ts";

/**
 * How a device answers on its SSH port: `up` = OpenSSH; `dark` = every packet to and from it is dropped, open connections
 * included; `silent` = TCP connects and no byte ever comes; `mute` = an SSH server's banner comes and nothing after it; `refusing` =
 * a TCP reset, as with no SSH server.
 */
export type DeviceMode = "up" | "dark" | "silent" | "mute" | "refusing";

/** Modes in which the dispatcher takes a connection and leaves it at that. */
export type Silence = Extract<DeviceMode, "silent" | "mute">;

/** Architecture that a device claims to have. */
export type DeviceArchitecture = "amd64" | "arm64";

/** What is asked for: one device. */
export interface DeviceRequest {
  /** Name and host name: lower-case letters, digits, `-` and `.`. */
  readonly id: string;
  /** For `arm64` on another machine a stand-in `uname` answers aarch64; all else is the machine's own. */
  readonly architecture: DeviceArchitecture;
  /** A network of its own, behind a wire to the lab's bridge; else the lab's, which all such devices share. Default: false. */
  readonly linked?: boolean;
}

/** One running device. */
export interface LabDevice extends DeviceRequest {
  /** IPv4 address, 127.77.x.y. */
  readonly host: string;
  /** TCP port of SSH. */
  readonly port: number;
  /** Merged root file system as seen from the lab; reads and writes go straight to the device. */
  readonly root: string;
  /** Current SSH host key: `ssh-ed25519 AAAA…` without a comment. */
  readonly hostKey: string;
  /** Its address in a network of its own. */
  readonly address?: string;
}

/** A file that every device gets below its own changes. */
export interface DeviceFile {
  /** Absolute path on the device. */
  readonly path: string;
  /** Its bytes or its UTF-8 text. */
  readonly content: string | Uint8Array;
  /** File mode. Default: 0o644. */
  readonly mode?: number;
}

/** What `startDevices` needs. */
export interface DeviceLabOptions {
  /** Existing directory for the log-in key, the SSH servers' configuration and log; below /run it is in memory and ends with the lab. */
  readonly directory: string;
  /** At most 5,000. */
  readonly devices: readonly DeviceRequest[];
  /** Mode by device id at the start. Default: `up`. */
  readonly mode?: Readonly<Record<string, DeviceMode>>;
  /** Files for every device, over the stand-ins. Default: none. */
  readonly files?: readonly DeviceFile[];
  /** Folders of the machine by the path at which every device has them, read-only. Default: none. */
  readonly binds?: Readonly<Record<string, string>>;
}

/** A running set of devices. */
export interface DeviceLab {
  /** In the order asked for. */
  readonly devices: readonly LabDevice[];
  /** SSH_AUTH_SOCK of the lab's agent, which holds the log-in key for root. */
  readonly agentSocket: string;
  /** The same key as a file of mode 0600. */
  readonly clientKeyPath: string;
  /** The SSH servers' common log. */
  readonly logPath: string;
  /** Changes how a device answers; effective when the promise resolves. */
  setMode(id: string, mode: DeviceMode): Promise<void>;
  /** Replaces the host key as a reflash or a man in the middle would; returns the new public key. */
  changeHostKey(id: string): Promise<string>;
  /** TCP connections that were accepted and handed to the device's SSH server since the last reset. */
  connections(id: string): number;
  /** Sets all connection counts to zero. */
  resetConnections(): void;
  /** Runs `sh -c command` as root inside the device, not over SSH and in any mode. */
  exec(id: string, command: string): Promise<CommandResult>;
  /** Plugs the wire of a device with a network of its own in or out; SSH does not need it. */
  setLink(id: string, connected: boolean): void;
  /** Ends every process of a device at once and forgets what its memory held. */
  cutPower(id: string): void;
  /** Boots a device after {@link cutPower}: another boot id, the cut-off run finished, the enabled cluster started. */
  boot(id: string): Promise<CommandResult>;
  /** Ends every process of every device, the SSH servers and the agent, and unmounts. Safe to call twice. */
  stop(): Promise<void>;
}
