/**
 * Reads the Secret that is to be sealed, a manifest or files, and checks it. Messages name fields and lines, never a
 * value.
 */
import { readFileSync } from "node:fs";
import { LineCounter, parseAllDocuments } from "yaml";
import { UsageError } from "../exit.ts";
import { asMap, isYamlMap, type YamlMap } from "../manifests/objects.ts";

/** A Secret in the clear. */
export interface ClearSecret {
  readonly name: string;
  readonly namespace: string;
  /** Absent: Kubernetes' own default, `Opaque`. */
  readonly type?: string;
  /** Whether it may change. Absent: it may. */
  readonly immutable?: boolean;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly values: ReadonlyMap<string, Buffer>;
}

/** What the command line says of it; each wins over nothing, and must not differ from the manifest's. */
export interface SecretPlace {
  /** Default: the manifest's. */
  readonly name?: string | undefined;
  /** Default: the manifest's. */
  readonly namespace?: string | undefined;
}

/** pkg/apis/core/validation of Kubernetes: ValidateSecret, ValidateDNS1123Subdomain and ValidateDNS1123Label. */
const KEY = /^[-._a-zA-Z0-9]{1,253}$/;
const NAME = /^(?=.{1,253}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const NAMESPACE = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/** Annotations in which tools keep a copy of the whole object, values and all. */
const COPIES = ["kubectl.kubernetes.io/last-applied-configuration", "kubecfg.ksonnet.io/last-applied-configuration"];

/**
 * Reads a manifest, YAML or JSON.
 * @param from where the text is from, for messages
 * @param fallback namespace of one that names none
 * @throws UsageError naming the field and the fix
 */
export function parseSecret(from: string, text: string, place: SecretPlace, fallback: string): ClearSecret {
  const object = parseOne(from, text);
  if (object.apiVersion !== "v1" || object.kind !== "Secret")
    throw new UsageError(
      `${from}: is no Secret of v1 - give one Secret, as kubectl create secret --dry-run=client -o yaml prints it`,
    );
  const metadata = asMap(object.metadata);
  const name = agreed(from, "name", metadata.name, place.name);
  const namespace = agreed(from, "namespace", metadata.namespace, place.namespace) ?? fallback;
  const values = new Map([
    ...Object.entries(mapAt(from, "data", object.data)).map(([key, value]) => [key, decode(from, key, value)] as const),
    ...Object.entries(mapAt(from, "stringData", object.stringData)).map(
      ([key, value]) => [key, Buffer.from(textAt(from, `stringData.${key}`, value))] as const,
    ),
  ]);
  const annotations = textsAt(from, "metadata.annotations", metadata.annotations);
  return checked(from, {
    name: name ?? "",
    namespace,
    ...(object.type === undefined ? {} : { type: textAt(from, "type", object.type) }),
    ...(object.immutable === true ? { immutable: true } : {}),
    labels: textsAt(from, "metadata.labels", metadata.labels),
    annotations: Object.fromEntries(Object.entries(annotations).filter(([key]) => !COPIES.includes(key))),
    values,
  });
}

/**
 * Makes a Secret of files.
 * @param files each `<key>=<path>`
 * @throws UsageError naming the option and the fix
 */
export function secretOfFiles(files: readonly string[], { name = "" }: SecretPlace, namespace: string): ClearSecret {
  const values = new Map<string, Buffer>();
  for (const file of files) {
    const [, key = "", path = ""] = /^([^=]+)=(.+)$/s.exec(file) ?? [];
    if (path === "")
      throw new UsageError("--from-file is not <key>=<path> - write e.g. --from-file password=./password.txt");
    if (values.has(key)) throw new UsageError(`--from-file: ${key} is there twice - leave one out`);
    try {
      values.set(key, readFileSync(path));
    } catch (error) {
      throw new UsageError(`--from-file ${key}: ${(error as Error).message} - name a file`);
    }
  }
  return checked("--from-file", { name, namespace, labels: {}, annotations: {}, values });
}

function checked(from: string, secret: ClearSecret): ClearSecret {
  const { name, namespace, values } = secret;
  const refuse = (what: string, fix: string) => new UsageError(`${from}: ${what} - ${fix}`);
  if (name === "")
    throw refuse("metadata.name is missing", "write it, or use --name: what is sealed opens under this name alone");
  if (!NAME.test(name)) throw refuse(`${name} is no name of a Secret`, "use small letters, digits, - and .");
  if (!NAMESPACE.test(namespace)) throw refuse(`${namespace} is no namespace`, "use small letters, digits and -");
  if (values.size === 0) throw refuse("has no values", "write data or stringData");
  const wrong = [...values.keys()].find((key) => !KEY.test(key));
  if (wrong !== undefined)
    throw refuse(`${JSON.stringify(wrong)} is no key of a Secret`, "use letters, digits, -, _ and .");
  return secret;
}

/** The parser's own messages quote the text. */
function parseOne(from: string, text: string): YamlMap {
  const lineCounter = new LineCounter();
  const documents = parseAllDocuments(text, { lineCounter, prettyErrors: false, uniqueKeys: true });
  const problem = documents.flatMap(({ errors }) => errors)[0];
  if (problem !== undefined) {
    const { line, col } = lineCounter.linePos(problem.pos[0]);
    throw new UsageError(`${from}:${line}:${col}: is not valid YAML (${problem.code}) - fix the syntax`);
  }
  const values = documents
    .map((document) => document.toJS({ maxAliasCount: 100 }) as unknown)
    .filter((one) => one != null);
  const [only, ...more] = values;
  if (more.length > 0) throw new UsageError(`${from}: has ${values.length} objects - give one Secret at a time`);
  if (!isYamlMap(only)) throw new UsageError(`${from}: holds no object - give one Secret`);
  return only;
}

function agreed(
  from: string,
  field: keyof SecretPlace,
  written: unknown,
  given: string | undefined,
): string | undefined {
  if (written === undefined || written === null) return given;
  const text = textAt(from, `metadata.${field}`, written);
  if (given !== undefined && given !== text)
    throw new UsageError(`${from}: metadata.${field} is ${text}, and --${field} ${given} - leave one out`);
  return text;
}

function mapAt(from: string, field: string, value: unknown): YamlMap {
  if (value === undefined || value === null) return {};
  if (!isYamlMap(value)) throw new UsageError(`${from}: ${field} is no map - write keys and values`);
  return value;
}

function textsAt(from: string, field: string, value: unknown): Record<string, string> {
  const entries = Object.entries(mapAt(from, field, value));
  return Object.fromEntries(entries.map(([key, text]) => [key, textAt(from, `${field}.${key}`, text)]));
}

function textAt(from: string, field: string, value: unknown): string {
  if (typeof value !== "string") throw new UsageError(`${from}: ${field} is no text - put it in quotes`);
  return value;
}

function decode(from: string, key: string, value: unknown): Buffer {
  const text = textAt(from, `data.${key}`, value).replace(/\s/g, "");
  if (!BASE64.test(text))
    throw new UsageError(`${from}: data.${key} is not base64 - encode it, or write it in stringData`);
  return Buffer.from(text, "base64");
}
