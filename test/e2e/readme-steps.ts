/**
 * What comes of each command of docs/quick-start.ja.md, with README.md's among them, and of docs/operations.md, in the order in
 * which they stand there; or why the lab does not run it, and which test does.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Walk } from "../lab/walk.ts";

/** One command. */
export interface Step {
  /** As it stands in the document. */
  readonly command: string;
  /** Its exit code. Default: 0. */
  readonly code?: number;
  /** What its output shows. Default: not looked at. */
  readonly shows?: RegExp;
  /** What is done before it that the document leaves to the reader, or that only the lab needs. */
  readonly given?: (walk: Walk) => unknown;
  /** What it reads. */
  readonly input?: string;
  /** Questions on a terminal, and what is typed. */
  readonly asks?: readonly (readonly [question: string, answer: string])[];
  /** It runs on until Ctrl-C, which is pressed when this shows. */
  readonly until?: RegExp;
  /** Why the lab does not run it, and where it is proven. */
  readonly instead?: string;
}

const PRODUCT = "node_modules/edge-fleet";

/** No node of the lab's hub runs pods, so nothing there becomes ready. */
const withoutNodes = ({ type }: Walk) => type("pulumi config set edge-fleet:awaitReady false --stack hub");

/** From `ssh-add` on: what comes before needs the npm registry. */
export const START: readonly Step[] = [
  { command: "ssh-add", shows: /^Identity added: \S+\/\.ssh\/id_ed25519 /m },
  { command: "npx edge-fleet lock", shows: /^k3s\.v\S+ +added [\s\S]*^Next: review stacks\/artifacts\.lock\.yaml/m },
  {
    command: "npx edge-fleet doctor tokyo",
    code: 3,
    shows: new RegExp(`^tokyo-0002 +pending +refused [\\s\\S]*^Next: ${PRODUCT}/docs/preflight\\.md explains`, "m"),
  },
  {
    command: "npx edge-fleet enroll tokyo",
    code: 3,
    asks: [["Pin the host keys of these 1 enrolled device(s)? [y/N]", "y"]],
    shows: /^tokyo: 1 enrolled, 0 already, 1 pending, 0 failed$/m,
  },
  { command: "pulumi stack init hub && pulumi stack init tokyo" },
  { command: 'git add . && git commit -m "Begin the fleet"', shows: /create mode 100644 stacks\/Pulumi\.tokyo\.yaml/ },
  { command: "pulumi up --stack hub", given: withoutNodes, shows: /^ {4}\+ \d+ created$/m },
  { command: "pulumi preview --stack tokyo", shows: /new: 2 devices \(tokyo-0001, tokyo-0002\)/ },
  { command: "pulumi up --stack tokyo", shows: /warning: 1 pending \(not-enrolled\): tokyo-0002: / },
  { command: "npx edge-fleet status", shows: /^tokyo-0001 +\S+ +applied +v[\s\S]*^tokyo: 1 applied, 1 pending /m },
  { command: "npx edge-fleet report", shows: /^report\.html: \d+ KiB$/m },
  { command: "npx edge-fleet logs tokyo-0001", shows: /^apply {2}\| \S+ end applied$[\s\S]*^unit {3}\| /m },
  {
    command: "npx edge-fleet kubeconfig tokyo-0001 --exec kubectl get pods -A",
    shows: /^argocd +argocd-application-controller-0 /m,
  },
  { command: "npx edge-fleet render", shows: /file\(s\) unchanged$/m },
  { command: "npx edge-fleet check", shows: /^fleet: nothing to refuse$/m },
  { command: 'git add fleet && git commit -m "Add the workload"' },
  { command: "git remote add origin https://git.example.com/acme/fleet.git" },
  { command: "git push -u origin main" },
  {
    command: "npx edge-fleet promote canary --to HEAD --push",
    shows: /^canary: nothing -> [0-9a-f]{40}$[\s\S]*^Pushed /m,
  },
  {
    command: "npx edge-fleet promote early --push",
    code: 1,
    shows: /^error: ring canary has run \w+ for 0m of 2h - promote early in 2h$/m,
  },
  { command: "npx edge-fleet promote broad --push", code: 2, shows: /^error: ring early deploys nothing yet - /m },
];

const RESTORED = /^tokyo-0001: restored/m;
const RESTORE_ASKS = [["Type tokyo-0001 to go on:", "tokyo-0001"]] as const;

/** Once, and after each renewal. */
const GIVE_ACCESS =
  "pulumi stack output kubeconfig-tokyo --show-secrets --stack hub | pulumi config set edge-fleet:hubKubeconfig --secret --stack tokyo";

/** Files that the documents take for given. */
function writeSecrets({ fleet }: Walk): void {
  for (const file of ["deploy-key", "app.pem", "password", "password.txt", "client-secret.txt", "tls.crt", "tls.key"])
    writeFileSync(join(fleet, file), "secret\n");
}

function editBase({ fleet }: Walk): void {
  const file = join(fleet, "fleet/base/deployment.yaml");
  writeFileSync(file, readFileSync(file, "utf8").replace(/revisionHistoryLimit: \d+/, "revisionHistoryLimit: 3"));
}

function wantMetrics({ fleet }: Walk): void {
  const file = join(fleet, "stacks/fleet.yaml");
  const text = readFileSync(file, "utf8");
  writeFileSync(file, text.replace("  stack: hub\n", "  stack: hub\n  metrics: { namespace: monitoring }\n"));
  for (const folder of ["scrape", "rules"]) mkdirSync(join(fleet, folder));
}

/** The copy of a device bears the name of the example's. */
const makeCopy = ({ devices }: Walk) =>
  devices.exec(
    "tokyo-0001",
    "/usr/local/sbin/edge-fleet-device maintain; cd /var/lib/edge-fleet/backups && mv *Z 20261124T030000Z",
  );
/** In the lab's namespaces alone. */
const makeWebFolder = ({ type }: Walk) =>
  type("mount --no-mtab -t tmpfs walk /srv && mkdir /srv/www && cp $KUBECONFIG hub.yaml");

const AGENT = "no device has an agent, whose Applications are on the hub: test/e2e/applicationset.test.ts";
const NEXT_PRINCIPAL =
  "no device has an agent: test/e2e/hub-components.test.ts runs a second principal beside the first one";
const RESTORE_FILE = "a copy that was sent comes back in test/e2e/apply-restore-command.test.ts";
const REMOVAL =
  "the sets of a region wait for Argo CD's controller, which the lab's hub has not: test/e2e/hub-removal.test.ts";
const REBUILT = "test/e2e/fleet-alone.test.ts and hub-removal.test.ts lose a hub";
const REBUILT_AGENT = "no device has an agent: test/e2e/hub-rebuilt.test.ts restores a hub's Applications";

/** Day two. */
export const DAY_TWO: readonly Step[] = [
  {
    command: "openssl rand -hex 32 | pulumi config set --secret edge-fleet:token-tokyo-0001 --stack tokyo",
    given: writeSecrets,
  },
  { command: "pulumi config set --secret edge-fleet:git-password --stack tokyo", input: "secret\n" },
  { command: "pulumi config set --secret edge-fleet:git-ssh-key --stack tokyo <deploy-key" },
  { command: "pulumi config set --secret edge-fleet:git-github-app-key --stack tokyo <app.pem" },
  { command: "edge-fleet seal tokyo --new-key", shows: /^Next: commit stacks\/tokyo\.lock\.yaml /m },
  {
    command:
      "kubectl create secret generic app --from-file=password --dry-run=client -o yaml | edge-fleet seal tokyo >sealed.yaml",
    shows: /^warning: no device of tokyo opens it yet - set gitops\.secrets to sealed-secrets$/m,
  },
  { command: "edge-fleet seal tokyo --name app --from-file password=./password.txt >sealed.yaml" },
  { command: "kubectl -n argocd-tokyo delete application tokyo-0001-workloads", instead: AGENT },
  { command: "openssl genpkey -algorithm ed25519 >fleet-ca.pem" },
  { command: "pulumi config set --secret edge-fleet:fleetCaKey --stack hub <fleet-ca.pem" },
  { command: "edge-fleet lock", instead: NEXT_PRINCIPAL },
  { command: "pulumi up --stack hub", instead: NEXT_PRINCIPAL },
  { command: "pulumi stack output principal-tokyo --stack hub", instead: NEXT_PRINCIPAL },
  { command: "pulumi up --stack tokyo", instead: NEXT_PRINCIPAL },
  { command: "edge-fleet status tokyo", instead: NEXT_PRINCIPAL },
  { command: "edge-fleet render", given: editBase, shows: /unchanged$/m },
  { command: "edge-fleet diff origin/main", shows: /no rendered change/ },
  { command: "git add fleet && git commit && git push", shows: /main -> main/ },
  {
    command: "edge-fleet promote canary --to HEAD --push",
    shows: /^ +[0-9a-f]{12} .* Change the tree$[\s\S]*revisionHistoryLimit: 3[\s\S]*^Pushed /m,
  },
  { command: "edge-fleet rings", shows: /^canary +[0-9a-f]{12} .* 2h +1 +not healthy: 0 of 1 device/m },
  { command: "edge-fleet promote early --push", code: 1, shows: /^nothing was changed; --force <reason> promotes/m },
  { command: "edge-fleet rollback early --push", code: 2, shows: /^error: ring early has run no other commit before/m },
  { command: "edge-fleet freeze --all --reason audit", shows: /^the whole fleet: frozen$/m },
  { command: "edge-fleet promote canary --new-leaves --push", shows: /has every leaf that its devices deploy$/m },
  {
    command:
      'openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -days 3650 -subj "/CN=acme backups" -keyout backup-key.pem -out backup.pem',
    asks: [
      ["Enter PEM pass phrase:", "a long phrase"],
      ["Verifying - Enter PEM pass phrase:", "a long phrase"],
    ],
  },
  { command: "pulumi config set --secret edge-fleet:backups --stack tokyo", input: "secret\n" },
  { command: "edge-fleet backup list tokyo-0001", given: makeCopy, shows: /^20261124T030000Z /m },
  { command: "edge-fleet backup restore tokyo-0001", asks: RESTORE_ASKS, shows: RESTORED },
  { command: "edge-fleet backup restore tokyo-0001 --copy 20261124T030000Z", asks: RESTORE_ASKS, shows: RESTORED },
  {
    command: "edge-fleet backup restore tokyo-0001 --from 20261124T030000Z.tar.gz.cms --key backup-key.pem",
    instead: RESTORE_FILE,
  },
  {
    command:
      "openssl cms -decrypt -binary -inform DER -in 20261124T030000Z.tar.gz.cms -inkey backup-key.pem | tar -xzf -",
    instead: RESTORE_FILE,
  },
  {
    command: 'sqlite3 20261124T030000Z/db/state.db "pragma integrity_check; select count(*) from kine"',
    instead: RESTORE_FILE,
  },
  { command: GIVE_ACCESS },
  {
    command: "pulumi config set --path edge-fleet:tokenGenerations.tokyo 2 --stack hub && pulumi up --stack hub",
    given: wantMetrics,
    shows: /hub-tokyo-token/,
  },
  {
    command: "pulumi config set --secret edge-fleet:ssoClientSecret --stack hub <client-secret.txt",
    given: ({ type }) => type(GIVE_ACCESS),
  },
  { command: "pulumi config set --secret edge-fleet:serverTlsCertificate --stack hub <tls.crt" },
  { command: "pulumi config set --secret edge-fleet:serverTlsKey --stack hub <tls.key" },
  {
    command: `kubectl -n argocd-tokyo get configmap edge-fleet-metrics -o go-template='{{index .data "scrape.yaml"}}' >scrape/tokyo.yaml`,
  },
  {
    command: `kubectl -n argocd-tokyo get configmap edge-fleet-metrics -o go-template='{{index .data "alerts.yaml"}}' >rules/tokyo.yaml`,
  },
  { command: "pulumi up --stack tokyo", instead: REMOVAL },
  { command: "pulumi up --stack hub", instead: REMOVAL },
  { command: "pulumi destroy --stack tokyo", instead: REMOVAL },
  {
    command: 'git rm stacks/tokyo.yaml stacks/tokyo.lock.yaml && git commit -m "Remove the region tokyo"',
    instead: REMOVAL,
  },
  { command: "pulumi up --stack hub", instead: REMOVAL },
  { command: "pulumi state delete --all --force --stack hub && pulumi up --stack hub", instead: REBUILT },
  { command: "edge-fleet backup restore-hub tokyo tokyo.json", instead: REBUILT_AGENT },
  {
    command:
      "pulumi state delete --force --target-dependents --stack tokyo 'urn:pulumi:tokyo::edge-fleet::edge-fleet:index:Region$edge-fleet:index:RegionRegistration$pulumi:providers:kubernetes::tokyo-registration-hub'",
    instead: REBUILT,
  },
  { command: "pulumi up --stack tokyo", instead: REBUILT },
  {
    command: 'edge-fleet backup hub tokyo "tokyo-$(date +%F).json"',
    code: 2,
    shows: /^error: region tokyo has no Applications on \S+ - nothing is written$/m,
  },
  {
    command: "kubectl -n argocd-tokyo scale deployment -l app.kubernetes.io/name=argocd-agent-principal --replicas=0",
    instead: REBUILT_AGENT,
  },
  {
    command: "edge-fleet backup restore-hub tokyo tokyo.json && pulumi up --refresh --stack tokyo",
    instead: REBUILT_AGENT,
  },
  {
    command: "kubectl -n argocd-tokyo scale deployment -l app.kubernetes.io/name=argocd-agent-principal --replicas=1",
    instead: REBUILT_AGENT,
  },
  { command: "edge-fleet status", shows: /^tokyo: 1 applied, 1 pending \(last run \d+m ago\)$/m },
  { command: "edge-fleet status --dial", shows: /^tokyo-0001 +\S+ +applied .* behind /m },
  { command: "edge-fleet status tokyo --failed --pending", shows: /^tokyo-0002 /m },
  { command: "edge-fleet status --watch", until: /last run/, shows: /^tokyo-0001 /m },
  { command: "edge-fleet report", shows: /^report\.html: \d+ KiB$/m },
  {
    command: "edge-fleet report --out /srv/www/fleet.html --kubeconfig hub.yaml",
    given: makeWebFolder,
    shows: /^\/srv\/www\/fleet\.html: \d+ KiB$/m,
  },
  { command: "edge-fleet report --serve", until: /http:\/\/\S+/ },
  { command: "edge-fleet logs tokyo-0001", shows: /^apply {2}\| /m },
  { command: "edge-fleet ssh tokyo-0001", input: "hostname\n", shows: /^tokyo-0001$/m },
  { command: "edge-fleet kubeconfig tokyo-0001 --exec kubectl get pods -A", shows: /^kube-system +coredns-/m },
  { command: "edge-fleet kubeconfig tokyo-0001", until: /KUBECONFIG=/ },
  { command: "edge-fleet exec tokyo --yes -- df -h /", code: 3, shows: /^tokyo: 1 done, 1 pending, 0 failed$/m },
  { command: 'eval "$(edge-fleet completion bash)"' },
  {
    command:
      "npx edge-fleet lock --check && npx edge-fleet render --check && npx edge-fleet diff origin/main --markdown",
    shows: /artifacts locked$/m,
  },
  { command: "pulumi preview --stack tokyo --parallel 64" },
  { command: "pulumi up --stack hub --yes" },
  { command: "pulumi up --stack tokyo --parallel 64 --yes", shows: /warning: 1 pending \(not-enrolled\)/ },
];
