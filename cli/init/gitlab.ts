/**
 * The GitLab pipeline of a new fleet: a merge request is checked and previewed; what lands on the branch is applied, the
 * hub first, one job per region. Pure.
 */
import {
  INSTALL_PULUMI,
  listRegions,
  NODE_VERSION,
  type PipelineInput,
  PULUMI_VERSION,
  RELEASE_URL,
} from "./pipeline.ts";

const GITLAB_HEAD = `# Checks and previews every merge request; applies what lands on the branch: the hub, then one job per region.
#
# To set up, as masked and protected CI/CD variables:
# - PULUMI_ACCESS_TOKEN, and PULUMI_CONFIG_PASSPHRASE if the backend is your own. Without a stored token: PULUMI_ID_TOKEN
#   below is an OIDC token of the job; let your cloud or Pulumi Cloud trust it, and log in with it in before_script.
# - EDGE_FLEET_SSH_KEY, of type file: a private key that the devices accept.
# - HUB_KUBECONFIG, of type file: for the hub's job alone.
# - devices that the internet does not reach: give the job \`region\` the tags of a runner of your own.
`;

/** `.gitlab-ci.yml` */
export function gitlabPipeline(input: PipelineInput): string {
  return [headPart(input.branch), templatesPart(input.regions), checkPart(input), applyPart(input)].join("\n");
}

function headPart(branch: string): string {
  return `${GITLAB_HEAD}stages: [check, preview, hub, region]

variables:
  PULUMI_VERSION: ${JSON.stringify(PULUMI_VERSION)}
  PULUMI_RELEASE: ${RELEASE_URL}

default:
  image: node:${NODE_VERSION}-bookworm
  interruptible: false

workflow:
  rules:
    - if: $CI_PIPELINE_SOURCE == "merge_request_event"
    - if: $CI_COMMIT_BRANCH == ${JSON.stringify(branch)}
`;
}

function templatesPart(regions: readonly string[]): string {
  return `# GitLab wants the regions of a matrix spelled out. A new region is added here and in the job check, which fails until then.
.regions:
  parallel:
    matrix:
      - REGION: ${JSON.stringify(regions)}

.pulumi:
  id_tokens:
    PULUMI_ID_TOKEN: { aud: "urn:pulumi:org:$CI_PROJECT_ROOT_NAMESPACE" }
  before_script:
    - npm ci
${INSTALL_PULUMI.map((line) => `    - ${JSON.stringify(line)}\n`).join("")}    - export PATH="$HOME/pulumi:$PATH"
`;
}

function checkPart({ regions, inventoryOption, treeOption }: PipelineInput): string {
  return `check:
  stage: check
  variables:
    REGIONS: ${JSON.stringify(JSON.stringify([...regions].sort()))}
  script:
    - npm ci
    - npx edge-fleet lock --check${inventoryOption}
    - npx edge-fleet render --check${inventoryOption}${treeOption}
    - npx edge-fleet check${inventoryOption}${treeOption}
    - |
      test "$(${listRegions(inventoryOption)})" = "$REGIONS" || { echo "the regions in .gitlab-ci.yml are stale"; exit 1; }
`;
}

function applyPart({ branch, hub, inventoryOption }: PipelineInput): string {
  return `# Dials no device.
preview:
  extends: [.pulumi, .regions]
  stage: preview
  rules:
    - if: $CI_PIPELINE_SOURCE == "merge_request_event"
  script:
    - npx edge-fleet preview "$REGION"${inventoryOption}

hub:
  extends: .pulumi
  stage: hub
  resource_group: edge-fleet-hub
  rules:
    - if: $CI_COMMIT_BRANCH == ${JSON.stringify(branch)}
  script:
    - KUBECONFIG="$HUB_KUBECONFIG" npx edge-fleet up ${hub} --yes${inventoryOption}

# Devices that are off-line are pending (exit code 3) and no failure.
region:
  extends: [.pulumi, .regions]
  stage: region
  resource_group: edge-fleet-$REGION
  rules:
    - if: $CI_COMMIT_BRANCH == ${JSON.stringify(branch)}
  script:
    - eval "$(ssh-agent -s)"
    - chmod 400 "$EDGE_FLEET_SSH_KEY"
    - ssh-add -q "$EDGE_FLEET_SSH_KEY"
    - npx edge-fleet up "$REGION" --yes${inventoryOption} || test $? -eq 3
`;
}
