# The bootstrap data of the stand-in for K3s: what its datastore holds of the files on which a cluster depends, and how the two
# are reconciled at each start. Needs SERVER and DB, `setting` and `refuse`, and in `encrypts` whether Secrets are encrypted.
# shellcheck shell=sh disable=SC2034,SC2154

random() { od -An -N 16 -tx1 /dev/urandom | tr -d ' \n'; }

# The files that the bootstrap data holds, by their names there; an empty path is left out.
# pkg/daemons/config/types.go, ControlRuntimeBootstrap; pkg/daemons/control/deps/deps.go, CreateRuntimeCertFiles
BOOTSTRAP='ServerCA ETCDServerCA PasswdFile EncryptionConfig EncryptionHash'
path_of() {
  case $1 in
    ServerCA) echo "$SERVER/tls/server-ca.crt" ;;
    ETCDServerCA) echo "$SERVER/tls/etcd/server-ca.crt" ;;
    PasswdFile) echo "$SERVER/cred/passwd" ;;
    EncryptionConfig) [ "$encrypts" != true ] || echo "$SERVER/cred/encryption-config.json" ;;
    EncryptionHash) [ "$encrypts" != true ] || echo "$SERVER/cred/encryption-state.json" ;;
  esac
}

token_key() { printf %s "${1##*:}" | sha256sum | cut -c 1-16; }

# Lines of the datastore, `bootstrap <token> <name> <mtime> <content>`. $1 is the token. pkg/cluster/storage.go, Save;
# pkg/bootstrap/bootstrap.go, ReadFromDisk: a file that is not there is left out.
save_bootstrap() {
  sed '/^bootstrap /d' "$DB/state.db" >"$DB/state.db-new"
  for name in $BOOTSTRAP; do
    path=$(path_of "$name")
    [ ! -f "$path" ] || echo "bootstrap $(token_key "$1") $name $(stat -c %Y "$path") $(base64 <"$path" | tr -d '\n')"
  done >>"$DB/state.db-new"
  mv -f "$DB/state.db-new" "$DB/state.db"
}

# pkg/bootstrap/bootstrap.go, WriteToDiskFromStorage: all of them, with the times that they have there.
write_bootstrap() {
  sed -n 's/^bootstrap //p' "$DB/state.db" | while read -r _ name time content; do
    path=$(path_of "$name")
    [ -n "$path" ] || continue
    mkdir -p "${path%/*}"
    echo "$content" | base64 -d >"$path"
    touch -d "@$time" "$path"
  done
}

# $1 is the token. pkg/cluster/storage.go, getBootstrapKeyFromStorage; pkg/cluster/bootstrap.go, ReconcileBootstrapData,
# checkCertDirs (v1.33: certDirsExist) and isNewerFile: with a folder missing or empty all is written from the datastore; a
# file that differs and is three seconds newer than there ends K3s, any other one that differs is written.
reconcile() {
  grep -q '^bootstrap ' "$DB/state.db" || return 0
  grep -q "^bootstrap $(token_key "$1") " "$DB/state.db" ||
    refuse "Error: preparing server: failed to bootstrap cluster data: bootstrap data already found and encrypted with different token"
  for folder in cred tls tls/etcd; do
    [ -n "$(ls "$SERVER/$folder" 2>/dev/null)" ] || { write_bootstrap && return 0; }
  done
  stale='' newer=''
  while read -r _ _ name time content; do
    path=$(path_of "$name")
    [ -n "$path" ] || continue
    if [ ! -f "$path" ]; then stale=1; elif [ "$(base64 <"$path" | tr -d '\n')" != "$content" ]; then
      stale=1
      [ $(($(stat -c %Y "$path") - time)) -lt 3 ] || newer="$newer${newer:+, }$path"
    fi
  done <<END
$(grep '^bootstrap ' "$DB/state.db")
END
  [ -z "$newer" ] ||
    refuse "$newer newer than datastore and could cause a cluster outage. Remove the file(s) from disk and restart to be recreated from datastore."
  [ -z "$stale" ] || write_bootstrap
}

# pkg/daemons/control/deps/deps.go: createSigningCertKey makes what is not there; genUsers and getServerPass keep the server's
# password, and the nodes' is that of agent-token, else the server's; genEncryptionConfigAndState makes a key once.
generate() {
  mkdir -p "$SERVER/tls/etcd" "$SERVER/cred"
  for ca in tls/server-ca.crt tls/etcd/server-ca.crt; do
    [ -s "$SERVER/$ca" ] || echo "authority $(random)" >"$SERVER/$ca"
  done
  server_password=${token##*:}
  [ -n "$server_password" ] || server_password=$(sed -n 's/,server,server,.*//p' "$SERVER/cred/passwd" 2>/dev/null) || :
  [ -n "$server_password" ] || server_password=$(random)
  path=$(setting agent-token-file)
  agent_password=$(setting agent-token)
  [ -z "$path" ] || agent_password=$(cat "$path")
  (umask 077 && printf '%s,node,node,k3s:agent\n%s,server,server,k3s:server\n' "${agent_password:-$server_password}" "$server_password" >"$SERVER/cred/passwd-new")
  if cmp -s "$SERVER/cred/passwd-new" "$SERVER/cred/passwd"; then rm -f "$SERVER/cred/passwd-new"; else
    mv -f "$SERVER/cred/passwd-new" "$SERVER/cred/passwd"
  fi
  [ "$encrypts" != true ] || [ -s "$SERVER/cred/encryption-config.json" ] || new_encryption_key start
}

# pkg/secretsencrypt/config.go, WriteEncryptionConfig and WriteEncryptionHashAnnotation. $1 is the stage.
new_encryption_key() {
  printf '{"kind":"EncryptionConfiguration","apiVersion":"apiserver.config.k8s.io/v1","resources":[{"resources":["secrets"],"providers":[{"secretbox":{"keys":[{"name":"secretboxkey","secret":"%s"}]}},{"identity":{}}]}]}' \
    "$(random)" >"$SERVER/cred/encryption-config.json"
  printf '%s-%s' "$1" "$(sha256sum <"$SERVER/cred/encryption-config.json" | cut -d ' ' -f 1)" >"$SERVER/cred/encryption-state.json"
}
