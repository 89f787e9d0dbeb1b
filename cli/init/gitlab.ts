/**
 * The GitLab pipeline of a new fleet: a merge request is checked and previewed, the hub and the regions that it touches;
 * what lands on the branch is applied, the hub first, one job per region; a schedule tries pending devices again. Pure.
 */
import {
  checkSteps,
  indentLines,
  NODE_VERSION,
  type PipelineInput,
  PREVIEW,
  PULUMI_VERSION,
  SSH_AGENT,
  SUMMARY,
  stackFiles,
  UP,
  writeComment,
} from "./pipeline.ts";

const HEAD = `# A merge request is checked, and the hub and the regions that it touches are previewed. What lands on the branch is
# applied: the hub, then one job per region. A pipeline schedule applies the regions again: make one, e.g. hourly, and devices
# that were pending are dialled again.
#
# To set up, as masked CI/CD variables, protected but for previews:
# - Each stack has two environments, <stack> to apply and <stack>-preview, e.g. tokyo and tokyo-preview. A variable with the
#   environment's scope is this stack's alone (tokyo* is for both); one without is every stack's.
# - PULUMI_BACKEND_URL: your own backend, e.g. s3://...; none for Pulumi Cloud. PULUMI_ACCESS_TOKEN for Pulumi Cloud,
#   PULUMI_CONFIG_PASSPHRASE for stacks with a passphrase. Without stored tokens: PULUMI_ID_TOKEN below is an OIDC token of
#   the job; let your cloud or Pulumi Cloud trust it, and log in with it behind the installation of Pulumi.
# - EDGE_FLEET_SSH_KEY, of type file, scope <region>: a private key that its devices accept.
# - KUBECONFIG, of type file, scope hub*: for the hub's jobs. A region that has edge-fleet:hubKubeconfig in its own stack needs
#   nothing of the hub's, its passphrase neither.
# - EDGE_FLEET_NOTE_TOKEN: a project access token with the scope api, for notes on merge requests. Without: an artifact.
# - devices that the internet does not reach: give the job region the tags of a runner of your own.
`;

/** `.gitlab-ci.yml` */
export function gitlabPipeline(input: PipelineInput): string {
  return [headPart(input), pulumiPart(), checkPart(input), previewPart(input), applyPart(input)].join("\n");
}

/** The CLI, checked against the release's list before it is unpacked. */
const INSTALL = [
  'curl -fsSLO "$PULUMI_RELEASE/pulumi-v$PULUMI_VERSION-linux-x64.tar.gz"',
  'curl -fsSL "$PULUMI_RELEASE/pulumi-$PULUMI_VERSION-checksums.txt" | grep "pulumi-v$PULUMI_VERSION-linux-x64.tar.gz" | sha256sum --check',
  'tar -xzf "pulumi-v$PULUMI_VERSION-linux-x64.tar.gz" -C "$HOME"',
  'export PATH="$HOME/pulumi:$PATH"',
];

function headPart({ branch, inventory }: PipelineInput): string {
  const paths = [...stackFiles(inventory), ".gitlab-ci.yml"];
  return `${HEAD}stages: [check, preview, hub, region]

variables:
  PULUMI_VERSION: ${JSON.stringify(PULUMI_VERSION)}
  PULUMI_RELEASE: https://github.com/pulumi/pulumi/releases/download/v${PULUMI_VERSION}

default:
  image: node:${NODE_VERSION}-bookworm
  interruptible: false

# What else changes is for the devices to pull: a promotion applies no stack.
workflow:
  rules:
    - if: $CI_PIPELINE_SOURCE == "merge_request_event"
    - if: $CI_COMMIT_BRANCH == ${JSON.stringify(branch)} && $CI_PIPELINE_SOURCE == "push"
      changes:
${indentLines(
  paths.map((path) => `- ${JSON.stringify(path)}`),
  8,
)}    - if: $CI_COMMIT_BRANCH == ${JSON.stringify(branch)} && ($CI_PIPELINE_SOURCE == "schedule" || $CI_PIPELINE_SOURCE == "web")
`;
}

function pulumiPart(): string {
  return `.install:
  script:
${scriptLines(INSTALL)}
.pulumi:
  id_tokens:
    PULUMI_ID_TOKEN: { aud: "urn:pulumi:org:$CI_PROJECT_ROOT_NAMESPACE" }
  before_script:
    - npm ci
`;
}

function checkPart(input: PipelineInput): string {
  const { hub, regions, inventoryOption } = input;
  const stacks = [hub, ...regions.toSorted()].join(" ");
  return `# GitLab wants the stacks of a matrix spelled out. A new region is added here, in preview and in region; the check fails until then.
check:
  stage: check
  variables:
    STACKS: ${JSON.stringify(stacks)}
  script:
    - npm ci
${scriptLines(checkSteps(input))}    - |
      test "$(npx edge-fleet stacks${inventoryOption} | paste -sd ' ' -)" = "$STACKS" || { echo "the stacks in .gitlab-ci.yml are stale"; exit 1; }
`;
}

function previewPart({ hub, regions, inventoryOption }: PipelineInput): string {
  const note = [
    ...writeComment('[ "$CI_JOB_STATUS" != success ]', "$CI_JOB_URL"),
    'if [ -n "$EDGE_FLEET_NOTE_TOKEN" ]; then',
    `  printf 'header = "PRIVATE-TOKEN: %s"\\n' "$EDGE_FLEET_NOTE_TOKEN" |`,
    '    curl -fsS -o /dev/null --config - --data-urlencode "body@comment.md" \\',
    '      "$CI_API_V4_URL/projects/$CI_PROJECT_ID/merge_requests/$CI_MERGE_REQUEST_IID/notes"',
    "fi",
  ];
  return `# Dials no device.
preview:
  extends: .pulumi
  stage: preview
  parallel:
    matrix:
      - STACK: ${JSON.stringify([hub, ...regions])}
  environment: { name: $STACK-preview, action: verify }
  variables: { GIT_DEPTH: "0" }
  rules:
    - if: $CI_PIPELINE_SOURCE == "merge_request_event"
  script:
    - |
      npx edge-fleet stacks --changed-since "$CI_MERGE_REQUEST_DIFF_BASE_SHA"${inventoryOption} > stacks.txt
      if ! grep -qx "$STACK" stacks.txt; then echo "$STACK is not touched"; exit 0; fi
    - !reference [.install, script]
${scriptLines(PREVIEW)}  after_script:
    - |
      grep -qx "$STACK" stacks.txt || exit 0
${indentLines(note, 6)}  artifacts:
    when: always
    expose_as: edge-fleet preview
    paths: [${SUMMARY}]
`;
}

function applyPart({ branch, hub, regions }: PipelineInput): string {
  return `hub:
  extends: .pulumi
  stage: hub
  resource_group: edge-fleet-${hub}
  environment: ${hub}
  variables: { STACK: ${hub} }
  rules:
    - if: $CI_COMMIT_BRANCH == ${JSON.stringify(branch)} && ($CI_PIPELINE_SOURCE == "push" || $CI_PIPELINE_SOURCE == "web")
  script:
    - !reference [.install, script]
    - ${UP}

# Devices that do not answer are pending and no failure.
region:
  extends: .pulumi
  stage: region
  parallel:
    matrix:
      - STACK: ${JSON.stringify(regions)}
  resource_group: edge-fleet-$STACK
  environment: $STACK
  rules:
    - if: $CI_COMMIT_BRANCH == ${JSON.stringify(branch)} && $CI_PIPELINE_SOURCE != "merge_request_event"
  script:
    - !reference [.install, script]
${scriptLines([...SSH_AGENT, 'chmod 400 "$EDGE_FLEET_SSH_KEY"', 'ssh-add -q "$EDGE_FLEET_SSH_KEY"'])}    - ${UP}
`;
}

/** Lines of a script; quoted where YAML would read more into them. */
function scriptLines(lines: readonly string[]): string {
  return indentLines(
    lines.map((line) => `- ${/^["'{]|: | #/.test(line) ? JSON.stringify(line) : line}`),
    4,
  );
}
