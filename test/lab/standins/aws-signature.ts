/**
 * AWS signature 4 as a server computes it, for judging what a client has signed.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
 */
import { createHash, createHmac } from "node:crypto";
import type { Upload } from "./upload-server.ts";

/** The parts of a request's Authorization header. */
interface Authorization {
  readonly credential: string;
  readonly signedHeaders: string;
  readonly signature: string;
}

const sha256 = (data: string | Uint8Array): string => createHash("sha256").update(data).digest("hex");
const hmac = (key: string | Uint8Array, data: string): Buffer => createHmac("sha256", key).update(data).digest();

/**
 * What stands against a signed request: nothing where it is well.
 * @param secretKey of the access key that the request names
 */
export function signatureProblems(upload: Upload, secretKey: string): string[] {
  const authorization = parse(upload.headers.authorization ?? "");
  if (authorization === undefined) return ["it is not signed"];
  const { credential, signedHeaders, signature } = authorization;
  const [, day = "", region = "", service = ""] = credential.split("/");
  const time = String(upload.headers["x-amz-date"]);
  const canonical = [
    upload.method,
    upload.path,
    "",
    ...signedHeaders.split(";").map((name) => `${name}:${String(upload.headers[name]).trim()}`),
    "",
    signedHeaders,
    String(upload.headers["x-amz-content-sha256"]),
  ].join("\n");
  const scope = `${day}/${region}/${service}/aws4_request`;
  const toSign = ["AWS4-HMAC-SHA256", time, scope, sha256(canonical)].join("\n");
  const key = [day, region, service, "aws4_request"].reduce<Buffer | string>(hmac, `AWS4${secretKey}`);
  return [
    ...(hmac(key, toSign).toString("hex") === signature ? [] : ["the signature is wrong"]),
    ...(upload.headers["x-amz-content-sha256"] === sha256(upload.body) ? [] : ["the sum of the body is wrong"]),
    ...(signedHeaders.split(";").includes("x-amz-content-sha256") ? [] : ["the sum of the body is not signed"]),
  ];
}

function parse(header: string): Authorization | undefined {
  const pattern = /^AWS4-HMAC-SHA256 Credential=(\S+?), ?SignedHeaders=(\S+?), ?Signature=([0-9a-f]{64})$/;
  const [, credential, signedHeaders, signature] = pattern.exec(header) ?? [];
  if (credential === undefined || signedHeaders === undefined || signature === undefined) return undefined;
  return { credential, signedHeaders, signature };
}
