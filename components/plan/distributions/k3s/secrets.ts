/** The token with which agents join a server: its key in the stack's configuration, and its two forms. */
import type { Profile } from "../../../inventory/types.ts";

/** Full form of a token, `K10<SHA-256 of the CA>::<user>:<password>`. https://docs.k3s.io/cli/token#token-format */
const FULL_TOKEN = /^K10[0-9a-f]{64}::[A-Za-z]+:/;

/** Characters that survive the token's file and the full form's colons. */
const PASSWORD = /^[A-Za-z0-9_.-]{16,256}$/;

/** Key of the secret with which agents join a server: `pulumi config set --secret edge-fleet:token-<server id>`. */
function joinTokenKey(serverId: string): string {
  return `token-${serverId}`;
}

/** Keys of the secrets of K3s: the token, on a server that others join and on each agent. */
export function joinSecretKeys({ id, joins }: Pick<Profile, "id" | "joins">, joined: boolean): string[] {
  const server = joins ?? (joined ? id : undefined);
  return server === undefined ? [] : [joinTokenKey(server)];
}

/** The token of a cluster in its two forms. */
export interface JoinToken {
  /** What the server is configured with: it takes the password alone, because its CA does not exist before. */
  readonly password: string;
  /** What an agent is configured with. */
  readonly token: string;
  /** True where the token names the server's CA, so that an agent joins no other server. */
  readonly pinned: boolean;
}

/**
 * Reads the token of a cluster.
 * @param id device that needs it, for messages
 * @param serverId device that it belongs to
 * @throws Error naming the key and the fix, never the token
 */
export function joinToken(id: string, serverId: string, secrets: Readonly<Record<string, string>> = {}): JoinToken {
  const key = joinTokenKey(serverId);
  const token = Object.hasOwn(secrets, key) ? (secrets[key] ?? "") : "";
  if (token === "") {
    throw new Error(
      `device ${id}: the stack has no secret ${key}, with which agents join ${serverId} - run openssl rand -hex 32 | pulumi config set --secret edge-fleet:${key}`,
    );
  }
  const password = token.replace(FULL_TOKEN, "");
  if (!PASSWORD.test(password)) {
    throw new Error(
      `device ${id}: the secret ${key} is no token - use 16 to 256 letters and digits, or the whole line of /var/lib/rancher/k3s/server/agent-token on ${serverId}`,
    );
  }
  return { password, token, pinned: password !== token };
}
