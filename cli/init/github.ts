/**
 * The GitHub Actions workflow of a new fleet: a pull request is checked and previewed, the hub and the regions that it
 * touches; what lands on the branch is applied, the hub first, one job per region; and pending devices are tried again. Pure.
 */
import {
  checkSteps,
  indentLines,
  NODE_VERSION,
  type PipelineInput,
  PREVIEW,
  PULUMI_VERSION,
  SSH_AGENT,
  stackFiles,
  UP,
  writeComment,
} from "./pipeline.ts";

/** The commits of the releases in the comments, from the tags of their repositories. */
const CHECKOUT = "actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1";
const SETUP_NODE = "actions/setup-node@820762786026740c76f36085b0efc47a31fe5020 # v7.0.0";
const PULUMI = "pulumi/actions@8e5e406f4007fca908480587cb9893c07090f58d # v7.0.0";

const PATH = ".github/workflows/edge-fleet.yml";

const HEAD = `# A pull request is checked, and the hub and the regions that it touches are previewed. What lands on the branch is applied:
# the hub, then one job per region. Every hour the regions are applied again, which dials the devices that were pending.
#
# To set up:
# - Each stack has two environments, <stack> to apply and <stack>-preview, e.g. tokyo and tokyo-preview. A secret in the
#   environment is this stack's alone; one of the repository is every stack's. Let <stack> deploy from this branch only.
# - variable PULUMI_BACKEND_URL: your own backend, e.g. s3://..., empty for Pulumi Cloud. Secrets PULUMI_ACCESS_TOKEN for
#   Pulumi Cloud, PULUMI_CONFIG_PASSPHRASE for stacks with a passphrase. Without stored tokens: jobs may ask for an OIDC
#   token (id-token: write); log in with it in a step before "Install Pulumi".
# - secret EDGE_FLEET_SSH_KEY in each region's environment: a private key that its devices accept. It goes into an SSH agent
#   and onto no disk.
# - secret HUB_KUBECONFIG in the hub's two environments. A region that has edge-fleet:hubKubeconfig in its own stack needs
#   nothing of the hub's, its passphrase neither.
# - an environment with required reviewers asks them every hour too: take the schedule away there, and run it by hand.
# - devices that the internet does not reach: give the job region a runner of your own, runs-on: [self-hosted, edge].
`;

/** `.github/workflows/edge-fleet.yml` */
export function githubWorkflow(input: PipelineInput): string {
  const paths = [...stackFiles(input.inventory), PATH].map((path) => `- ${JSON.stringify(path)}`);
  const jobs = [checkJob(input), previewJob(input), hubJob(input), regionJob(input)];
  return `${HEAD}name: edge-fleet

on:
  pull_request:
  push:
    branches: [${JSON.stringify(input.branch)}]
    # What else changes is for the devices to pull: a promotion applies no stack.
    paths:
${indentLines(paths, 6)}  schedule:
    - cron: "17 * * * *"
  workflow_dispatch:

permissions:
  contents: read

# With pipefail.
defaults:
  run: { shell: bash }

jobs:
${jobs.join("\n")}`;
}

/** Steps that every job begins with. */
function setup(depth?: number): string {
  return `      - uses: ${CHECKOUT}
        with: { persist-credentials: false${depth === undefined ? "" : `, fetch-depth: ${depth}`} }
      - uses: ${SETUP_NODE}
        with: { node-version: ${NODE_VERSION}, cache: npm }
      - run: npm ci
`;
}

/** Only the CLI: as a command, the action makes every output of the stack an output of the step, secrets too. */
const INSTALL = `      - name: Install Pulumi
        uses: ${PULUMI}
        with: { pulumi-version: ${PULUMI_VERSION} }
`;

const BACKEND = `      PULUMI_BACKEND_URL: \${{ vars.PULUMI_BACKEND_URL }}
      PULUMI_ACCESS_TOKEN: \${{ secrets.PULUMI_ACCESS_TOKEN }}
      PULUMI_CONFIG_PASSPHRASE: \${{ secrets.PULUMI_CONFIG_PASSPHRASE }}
`;

/** The hub's kubeconfig as a file, where this job has it. */
const KUBECONFIG = [
  'if [ -n "$HUB_KUBECONFIG" ]; then',
  '  export KUBECONFIG="$RUNNER_TEMP/hub.kubeconfig"',
  `  (umask 077 && printf '%s\\n' "$HUB_KUBECONFIG" > "$KUBECONFIG")`,
  "fi",
];

function checkJob(input: PipelineInput): string {
  const { inventoryOption } = input;
  return `  # Needs no secret and no device. The regions come from the inventory, so that a new one needs no change here.
  check:
    runs-on: ubuntu-24.04
    outputs:
      all: \${{ steps.stacks.outputs.all }}
      changed: \${{ steps.stacks.outputs.changed }}
    steps:
${setup(2)}${checkSteps(input)
  .map((step) => `      - run: ${step}\n`)
  .join("")}      - id: stacks
        run: |
          # A pull request's commit is its merge: the first parent is the branch.
          base=HEAD
          if [ "$GITHUB_EVENT_NAME" = pull_request ]; then base=HEAD^1; fi
          {
            echo 'all<<EOF'
            npx edge-fleet stacks --json${inventoryOption}
            echo EOF
            echo 'changed<<EOF'
            npx edge-fleet stacks --json --changed-since "$base"${inventoryOption}
            echo EOF
          } >> "$GITHUB_OUTPUT"
`;
}

function previewJob({ hub }: PipelineInput): string {
  const comments = '"repos/$GITHUB_REPOSITORY/issues';
  return `  # Dials no device. Not for forks: they get no secrets.
  preview:
    needs: check
    if: >-
      github.event_name == 'pull_request' && fromJSON(needs.check.outputs.changed).stacks[0] != null &&
      github.event.pull_request.head.repo.full_name == github.repository
    runs-on: ubuntu-24.04
    permissions: { contents: read, id-token: write, pull-requests: write }
    strategy:
      fail-fast: false
      matrix:
        stack: \${{ fromJSON(needs.check.outputs.changed).stacks }}
    environment: \${{ matrix.stack }}-preview
    env:
      STACK: \${{ matrix.stack }}
${BACKEND}      HUB_KUBECONFIG: \${{ matrix.stack == '${hub}' && secrets.HUB_KUBECONFIG || '' }}
    steps:
${setup()}${INSTALL}      - name: Preview
        id: preview
        run: |
${indentLines([...KUBECONFIG, ...PREVIEW], 10)}      - name: Comment on the pull request
        if: \${{ !cancelled() && steps.preview.outcome != 'skipped' }}
        env:
          GH_TOKEN: \${{ github.token }}
          OUTCOME: \${{ steps.preview.outcome }}
          PULL_REQUEST: \${{ github.event.pull_request.number }}
        run: |
${indentLines(
  [
    ...writeComment('[ "$OUTCOME" != success ]', "$GITHUB_SERVER_URL/$GITHUB_REPOSITORY/actions/runs/$GITHUB_RUN_ID"),
    'cat comment.md >> "$GITHUB_STEP_SUMMARY"',
    "# One comment per stack, renewed with each push.",
    `old=$(gh api --paginate ${comments}/$PULL_REQUEST/comments" \\`,
    '  --jq ".[] | select(.body | startswith(\\"$(head -n 1 comment.md)\\")) | .id" | sed -n 1p)',
    `if [ -n "$old" ]; then gh api --silent --method PATCH ${comments}/comments/$old" -F body=@comment.md`,
    `else gh api --silent --method POST ${comments}/$PULL_REQUEST/comments" -F body=@comment.md; fi`,
  ],
  10,
)}`;
}

function hubJob({ branch, hub }: PipelineInput): string {
  return `  hub:
    needs: check
    if: github.ref == 'refs/heads/${branch}' && github.event_name != 'schedule'
    runs-on: ubuntu-24.04
    permissions: { contents: read, id-token: write }
    concurrency: { group: edge-fleet-${hub}, cancel-in-progress: false }
    environment: ${hub}
    env:
      STACK: ${hub}
${BACKEND}      HUB_KUBECONFIG: \${{ secrets.HUB_KUBECONFIG }}
    steps:
${setup()}${INSTALL}      - name: Apply the hub
        run: |
${indentLines([...KUBECONFIG, UP], 10)}`;
}

function regionJob({ branch }: PipelineInput): string {
  const loadKey = [`printf '%s\\n' "$EDGE_FLEET_SSH_KEY" | ssh-add -q -`, "unset EDGE_FLEET_SSH_KEY"];
  return `  # A run that has begun is never cancelled: the devices would be left to their watchdogs.
  region:
    needs: [check, hub]
    if: >-
      !cancelled() && github.ref == 'refs/heads/${branch}' && needs.check.result == 'success' &&
      (needs.hub.result == 'success' || needs.hub.result == 'skipped')
    runs-on: ubuntu-24.04
    permissions: { contents: read, id-token: write }
    strategy:
      fail-fast: false
      matrix:
        stack: \${{ fromJSON(needs.check.outputs.all).regions }}
    concurrency: { group: "edge-fleet-\${{ matrix.stack }}", cancel-in-progress: false }
    environment: \${{ matrix.stack }}
    env:
      STACK: \${{ matrix.stack }}
${BACKEND}      EDGE_FLEET_SSH_KEY: \${{ secrets.EDGE_FLEET_SSH_KEY }}
    steps:
${setup()}${INSTALL}      - name: Apply the region; devices that do not answer are pending and no failure
        run: |
${indentLines([...SSH_AGENT, ...loadKey, UP], 10)}`;
}
