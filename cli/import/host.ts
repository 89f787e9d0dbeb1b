/**
 * What every parser of `edge-fleet import` yields: the machines of another tool's inventory with their positions, and an
 * account of everything that was not taken over. Values that were not taken over are never kept, so that no secret can
 * reach a message.
 */
import type { Position } from "../../components/inventory/index.ts";

/** A jump host as the source names it. Its host key is looked up later. */
export interface SourceProxy {
  readonly host: string;
  /** Undefined: the source leaves it to the default, 22. */
  readonly port: number | undefined;
  /** Undefined: the source leaves it to the default, root. */
  readonly user: string | undefined;
}

/** One machine of the source. */
export interface SourceHost {
  /** Its name in the source; the device's id is made from it. */
  readonly name: string;
  /** Name or address of its SSH server. */
  readonly address: string;
  /** User of its SSH server. Undefined: the source leaves it to the default. */
  readonly user: string | undefined;
  /** Undefined: the source leaves it to the default, 22. */
  readonly port: number | undefined;
  /** Undefined: it is reached directly. */
  readonly proxy: SourceProxy | undefined;
  /** Its SSH host key, `<type> <base64>`. Undefined: the source has none. */
  readonly hostKey: string | undefined;
  /** Name of the machine whose cluster it joins as an agent; undefined: a cluster of its own. */
  readonly server: string | undefined;
  /** Undefined: that of `--region`. */
  readonly region: string | undefined;
  /** Undefined: that of `--model`. */
  readonly model: string | undefined;
  /** Further fields of the device entry by their path, as a CSV header names them, e.g. `k3s.version`. */
  readonly fields: Readonly<Record<string, string | number>>;
  readonly position: Position;
  /** Field path inside the source, e.g. `spec.hosts[2]`. */
  readonly path: string;
}

/** A field of the source that was left behind, in all its places. */
export interface LeftOut {
  /** e.g. `spec.hosts[].ssh.keyPath` */
  readonly field: string;
  readonly positions: readonly Position[];
  /** What to do instead. */
  readonly fix: string;
}

/** A parsed source. */
export interface SourceInventory {
  readonly hosts: readonly SourceHost[];
  /** `file:line:column field: what - fix`; the import is refused unless empty. */
  readonly problems: readonly string[];
  readonly leftOut: readonly LeftOut[];
  /** Passwords, tokens and keys: named, never copied, never shown. */
  readonly secrets: readonly LeftOut[];
  /** What the operator should know of how the source was read. */
  readonly notes: readonly string[];
}

/** A SourceHost with nothing but its name, address and place. */
export function bareHost(name: string, address: string, position: Position, path: string): SourceHost {
  return {
    name,
    address,
    position,
    path,
    user: undefined,
    port: undefined,
    proxy: undefined,
    hostKey: undefined,
    server: undefined,
    region: undefined,
    model: undefined,
    fields: {},
  };
}
