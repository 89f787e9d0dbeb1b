/**
 * The GitHub Actions workflow of a new fleet: a pull request is checked and previewed; what lands on the branch is
 * applied, the hub first, one job per region. Pure.
 */
import {
  INSTALL_PULUMI,
  indentLines,
  listRegions,
  NODE_VERSION,
  type PipelineInput,
  PULUMI_VERSION,
  RELEASE_URL,
} from "./pipeline.ts";

/** Steps that every job begins with. */
function githubSetup(): string {
  return `      - uses: actions/checkout@v4
        with: { persist-credentials: false }
      - uses: actions/setup-node@v4
        with: { node-version: ${NODE_VERSION}, cache: npm }
      - run: npm ci
`;
}

function githubPulumi(): string {
  return `      - name: Install the pinned Pulumi CLI
        run: |
${indentLines([...INSTALL_PULUMI, 'echo "$HOME/pulumi" >> "$GITHUB_PATH"'], 10)}`;
}

const GITHUB_HEAD = `# Checks and previews every pull request; applies what lands on the branch: the hub, then one job per region.
#
# To set up:
# - secret PULUMI_ACCESS_TOKEN, and PULUMI_CONFIG_PASSPHRASE if the backend is your own. Without a stored token: the jobs
#   may ask for an OIDC token (id-token: write); let your cloud or Pulumi Cloud trust it, and log in with it in a step
#   behind "Install the pinned Pulumi CLI".
# - secret EDGE_FLEET_SSH_KEY: a private key that the devices accept. It goes into an SSH agent and onto no disk.
# - secret HUB_KUBECONFIG: for the hub's job alone.
# - devices that the internet does not reach: give the job \`region\` a runner of your own, runs-on: [self-hosted, edge].
#
# The two actions are pinned by version, since a full SHA can only be looked up on-line. Do it once, and keep the version
# as a comment behind it: gh api repos/actions/checkout/commits/v4 --jq .sha
`;

/** `.github/workflows/edge-fleet.yml` */
export function githubWorkflow(input: PipelineInput): string {
  const jobs = [checkJob(input), previewJob(input), hubJob(input), regionJob(input)];
  return `${GITHUB_HEAD}name: edge-fleet

on:
  pull_request:
  push:
    branches: [${JSON.stringify(input.branch)}]

permissions:
  contents: read

env:
  PULUMI_VERSION: ${PULUMI_VERSION}
  PULUMI_RELEASE: ${RELEASE_URL}

jobs:
${jobs.join("\n")}`;
}

function checkJob({ inventoryOption, treeOption }: PipelineInput): string {
  return `  # Needs no secret and no device. The regions come from the inventory, so that a new one needs no change here.
  check:
    runs-on: ubuntu-24.04
    outputs:
      regions: \${{ steps.regions.outputs.regions }}
    steps:
${githubSetup()}      - run: npx edge-fleet lock --check${inventoryOption}
      - run: npx edge-fleet render --check${inventoryOption}${treeOption}
      - run: npx edge-fleet check${inventoryOption}${treeOption}
      - id: regions
        run: |
          regions=$(${listRegions(inventoryOption)})
          echo "regions=$regions" >> "$GITHUB_OUTPUT"
`;
}

function previewJob({ inventoryOption }: PipelineInput): string {
  return `  # Dials no device. Not for forks: they get no secrets.
  preview:
    needs: check
    if: github.event_name == 'pull_request' && github.event.pull_request.head.repo.full_name == github.repository
    runs-on: ubuntu-24.04
    permissions: { contents: read, id-token: write }
    strategy:
      fail-fast: false
      matrix:
        region: \${{ fromJSON(needs.check.outputs.regions) }}
    env:
      REGION: \${{ matrix.region }}
      PULUMI_ACCESS_TOKEN: \${{ secrets.PULUMI_ACCESS_TOKEN }}
      PULUMI_CONFIG_PASSPHRASE: \${{ secrets.PULUMI_CONFIG_PASSPHRASE }}
    steps:
${githubSetup()}${githubPulumi()}      - run: npx edge-fleet preview "$REGION"${inventoryOption}
`;
}

function hubJob({ hub, inventoryOption }: PipelineInput): string {
  return `  hub:
    needs: check
    if: github.event_name == 'push'
    runs-on: ubuntu-24.04
    permissions: { contents: read, id-token: write }
    concurrency: { group: edge-fleet-hub, cancel-in-progress: false }
    env:
      PULUMI_ACCESS_TOKEN: \${{ secrets.PULUMI_ACCESS_TOKEN }}
      PULUMI_CONFIG_PASSPHRASE: \${{ secrets.PULUMI_CONFIG_PASSPHRASE }}
      HUB_KUBECONFIG: \${{ secrets.HUB_KUBECONFIG }}
    steps:
${githubSetup()}${githubPulumi()}      - name: Apply the hub
        run: |
          umask 077
          export KUBECONFIG="$RUNNER_TEMP/hub.kubeconfig"
          printf '%s\\n' "$HUB_KUBECONFIG" > "$KUBECONFIG"
          npx edge-fleet up ${hub} --yes${inventoryOption}
`;
}

function regionJob({ inventoryOption }: PipelineInput): string {
  return `  # A run that has begun is never cancelled: the devices would be left to their watchdogs.
  region:
    needs: [check, hub]
    runs-on: ubuntu-24.04
    permissions: { contents: read, id-token: write }
    strategy:
      fail-fast: false
      matrix:
        region: \${{ fromJSON(needs.check.outputs.regions) }}
    concurrency: { group: "edge-fleet-\${{ matrix.region }}", cancel-in-progress: false }
    env:
      REGION: \${{ matrix.region }}
      PULUMI_ACCESS_TOKEN: \${{ secrets.PULUMI_ACCESS_TOKEN }}
      PULUMI_CONFIG_PASSPHRASE: \${{ secrets.PULUMI_CONFIG_PASSPHRASE }}
      EDGE_FLEET_SSH_KEY: \${{ secrets.EDGE_FLEET_SSH_KEY }}
    steps:
${githubSetup()}${githubPulumi()}      - name: Apply the region; devices that are off-line are pending (exit code 3) and no failure
        run: |
${indentLines(applyRegion(inventoryOption), 10)}`;
}

function applyRegion(inventoryOption: string): string[] {
  return [
    'eval "$(ssh-agent -s)"',
    `printf '%s\\n' "$EDGE_FLEET_SSH_KEY" | ssh-add -q -`,
    "unset EDGE_FLEET_SSH_KEY",
    `npx edge-fleet up "$REGION" --yes${inventoryOption} || test $? -eq 3`,
  ];
}
