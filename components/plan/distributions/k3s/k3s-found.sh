# What a K3s was started with, whoever installed it, and what of that edge-fleet must not change. install.sh and k3sup put
# flags into the unit and variables beside it, k3s-ansible settings into files; edge-fleet's own files take the place of the
# unit and of config.yaml. Upstream: install.sh (create_systemd_service_file, create_openrc_service_file, create_env_file),
# pkg/configfilearg/parser.go, pkg/cli/cmds/server.go and agent.go; the same at v1.33 and v1.36.
# shellcheck shell=sh disable=SC2034,SC2154,SC2317

# Every kind of K3s that this machine has a service of.
k3s_services() {
  for path in "$UNITS"/k3s*.service "$INIT_SCRIPTS"/k3s*; do
    [ ! -f "$path" ] || echo "${path##*/}" | sed 's/\.service$//'
  done | sort -u
}

# The words of its command line, one a line. Of systemd's ExecStart lines the last one counts.
k3s_words() {
  for name in $(k3s_services); do
    if [ -f "$UNITS/$name.service" ]; then
      cat "$UNITS/$name.service" "$UNITS/$name.service.d"/*.conf 2>/dev/null |
        sed -e ':a' -e '/\\$/{' -e N -e 's/\\\n/ /' -e ba -e '}' | sed -n 's/^ExecStart=[^ ]*k3s //p' | tail -n 1
    else
      sed -n '/^command_args=/,/[^\\]"$/p' "$INIT_SCRIPTS/$name"
    fi
  done | tr -d "\"'\\\\" | tr -s ' \t' '\n'
}

# The value of a flag. $1 is its name, $2 a short one. A flag without a value is true.
k3s_flag() {
  k3s_words | awk -v name="--$1" -v short="${2:---$1}" '
    took { value = /^-/ ? "true" : $0; took = 0 }
    $0 == name || $0 == short { took = 1; value = "true" }
    index($0, name "=") == 1 { value = substr($0, length(name) + 2) }
    END { if (value != "") print value }'
}

k3s_variable() {
  for name in $(k3s_services); do
    cat "/etc/default/$name" "/etc/sysconfig/$name" "$UNITS/$name.service.env" "$K3S_CONFIG/$name.env" 2>/dev/null
    sed -n 's/^Environment=//p' "$UNITS/$name.service" "$UNITS/$name.service.d"/*.conf 2>/dev/null
  done | tr -d "\"'" | sed -n -e "s/^export //" -e "s/^$1=//p" | tail -n 1
}

# Of the files the last one that has the key counts, which may be written as a list of one.
k3s_file_setting() {
  file=$(k3s_flag config -c)
  [ -n "$file" ] || file=$(k3s_variable K3S_CONFIG_FILE)
  file=${file:-$K3S_CONFIG/config.yaml}
  cat "$file" "$file.d"/*.yaml "$file.d"/*.yml 2>/dev/null | awk -v key="$1" '
    { line = $0; gsub(/["\047]/, "", line) }
    index(line, key ":") == 1 { value = substr(line, length(key) + 2); sub(/^ */, "", value); sub(/ +#.*$/, "", value); list = value == "" ; next }
    list && line ~ /^ *- / { sub(/^ *- */, "", line); value = line }
    { list = 0 }
    END { if (value != "") print value }'
}

# A setting of K3s as its present service has it. $1 is its name, $2 the variable, $3 the short flag.
k3s_setting() {
  value=$(k3s_flag "$1" "${3-}")
  [ -n "$value" ] || [ -z "${2-}" ] || value=$(k3s_variable "$2")
  [ -n "$value" ] || value=$(k3s_file_setting "$1")
  echo "$value"
}

# What edge-fleet neither runs nor copies. An etcd on the disk wins over every flag: pkg/cluster/managed.go
# (assignManagedDriver), pkg/etcd/etcd.go (walDir).
k3s_unset_foreign() {
  for name in $(k3s_services); do
    case $name in k3s | k3s-agent) ;; *) echo "$name is another K3s on this machine, which edge-fleet does not take over" ;; esac
  done
  folder=$(k3s_setting data-dir K3S_DATA_DIR -d)
  if [ "${folder:-$K3S_DATA}" != "$K3S_DATA" ]; then
    echo "k3s keeps its data in $folder, edge-fleet in $K3S_DATA"
  elif [ -n "$(k3s_setting datastore-endpoint K3S_DATASTORE_ENDPOINT)" ]; then
    echo "k3s uses a datastore-endpoint, which edge-fleet does not take over"
  elif [ -d "${folder:-$K3S_DATA}/server/db/etcd/member" ]; then
    echo "k3s runs on embedded etcd, of which edge-fleet makes no copies"
  elif [ "$(k3s_service)" = k3s ] && [ -n "$(k3s_setting server K3S_URL -s)" ]; then
    echo "k3s is an agent or one of several servers of another cluster"
  fi
}

# What only the first start takes. A default is knowledge of a K3s that others installed alone: edge-fleet writes every value, so
# one that is missing was edited away, and where no service is left nothing was asked. Flannel's file knows better.
# pkg/util/net.go (GetHostnameAndIPs), pkg/cli/cmds/server.go, pkg/executor/embed/embed.go, in v1.33 pkg/agent/config/config.go (net-conf.json)
k3s_fixed() {
  node=$(k3s_setting node-name K3S_NODE_NAME) pods=$(k3s_setting cluster-cidr) services=$(k3s_setting service-cidr)
  if [ ! -e "$APPLIED" ] && [ -n "$(k3s_services)" ]; then
    slurp "$PROC/sys/kernel/hostname"
    node=${node:-$(echo "$LINE" | tr '[:upper:]' '[:lower:]')} pods=${pods:-10.42.0.0/16} services=${services:-10.43.0.0/16}
  fi
  running=$(sed -n 's/.*"Network": *"\([^"]*\)".*/\1/p' "$K3S_DATA/agent/etc/flannel/net-conf.json" 2>/dev/null) || running=
  fixed_value node-name "$node" "$(payload_lines "$K3S_CONFIG/config.yaml" | value_of node-name)"
  [ "$SERVICE" != k3s-agent ] || return 0
  fixed_value cluster-cidr "${running:-$pods}" "$(payload_lines "$K3S_CONFIG/config.yaml" | value_of cluster-cidr)"
  fixed_value service-cidr "$services" "$(payload_lines "$K3S_CONFIG/config.yaml" | value_of service-cidr)"
  [ -e "$APPLIED" ] || k3s_fixed_token
}

# With another token the agents that are there could not come back. pkg/daemons/control/deps/deps.go (genUsers)
k3s_fixed_token() {
  have=$(sed -n 's/,node,node,.*//p' "$K3S_DATA/server/cred/passwd" 2>/dev/null) || have=
  wanted=$(payload_lines "$K3S_CONFIG/agent-token")
  [ -n "$wanted" ] || wanted=$(sed -n 's/,server,server,.*//p' "$K3S_DATA/server/cred/passwd" 2>/dev/null) || wanted=
  [ -z "$have" ] || [ "$have" = "$wanted" ] ||
    printf 'fixed\terror\tthe token with which agents join is another one than the inventory has - set the secret token-%s to the line of %s/server/agent-token, and let a device join\n' "$DEVICE" "$K3S_DATA"
}

# After a rollback to a K3s without encryption: it reads what was encrypted meanwhile only where it is told to.
k3s_undo() {
  [ "$SERVICE" != k3s-agent ] && [ -s "$K3S_DATA/server/cred/encryption-config.json" ] || return 0
  [ "$(k3s_setting secrets-encryption)" != true ] || return 0
  mkdir -p "$STATE"
  echo 'secrets-encryption: true' >"$STATE/.edge-fleet.encryption"
  put "$STATE/.edge-fleet.encryption" "$K3S_ENCRYPTION"
  rm -f "$STATE/.edge-fleet.encryption"
}

# Of a cluster that was taken over the Secrets may be plain text until each is written anew.
k3s_adopted() {
  [ "$SERVICE" != k3s-agent ] || return 0
  : >"$K3S_PLAIN"
  k3s_encrypt
}

# https://kubernetes.io/docs/tasks/administer-cluster/encrypt-data/#ensure-all-secrets-are-encrypted
k3s_encrypt() {
  [ -e "$K3S_PLAIN" ] || return 0
  # shellcheck disable=SC2086
  if $KUBECTL get secrets --all-namespaces -o json | $KUBECTL replace -f - >/dev/null; then rm -f "$K3S_PLAIN" "$K3S_ENCRYPTION"; else
    echo "the Secrets of the cluster that was taken over could not all be encrypted: the next hour tries again"
  fi
}
