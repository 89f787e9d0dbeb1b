# The settings of a payload: which there are, and what each may be. They stay on the device after a run, without files,
# so that the timer, the boot and a removal know what runs here.
# shellcheck shell=sh disable=SC2034,SC2154,SC2317

reset_settings() {
  DEVICE='' REGION='' HASH='' VERSION='' DISTRIBUTION='' INIT='' ARCH='' MEMORY_MIB=0 SERVICE='' UNIT='' KUBECTL=''
  ENGINE=none WINDOWS='' DEPLOYMENTS='' LABELS='' TAINTS='' AGENTS='' WASM='' PREFLIGHT='' REPLACE=0 LIMIT_KIB=0 NEED_KIB=0
  READY_SECONDS=300 ROLLBACK_SECONDS=1200 BACKUP_HOURS=24 BACKUP_KEEP=3 BACKUP_URL=''
}

# Plain characters only; `KUBECTL` is run, so it is one of a few commands of the distribution, which is named before.
setting() {
  case $2 in *[!A-Za-z0-9_./:@%+,=\ -]*) refuse "$1 has a character that no setting has" ;; esac
  case $1 in
    HASH) check_sum "$2" ;;
    MEMORY_MIB | LIMIT_KIB | NEED_KIB | READY_SECONDS | ROLLBACK_SECONDS | BACKUP_HOURS | BACKUP_KEEP | REPLACE) check_number "$2" ;;
    DEVICE | REGION | SERVICE | VERSION | ARCH) case $2 in '' | -* | *[!A-Za-z0-9.+@-]*) refuse "$1 is not a name" ;; esac ;;
    DISTRIBUTION) is_listed "$2" "$ALL_DISTRIBUTIONS" || refuse "unknown distribution" ;;
    ENGINE) case $2 in argocd | argocd-agent | flux | none) ;; *) refuse "unknown engine" ;; esac ;;
    INIT) case $2 in systemd | openrc) ;; *) refuse "unknown init" ;; esac ;;
    KUBECTL)
      optional "${DISTRIBUTION}_kubectls" | grep -Fxq -- "${2%% --request-timeout=*}" || refuse "unknown kubectl"
      case ${2#*kubectl*--request-timeout=} in [0-9]s | [0-9][0-9]s) ;; *) refuse "unknown kubectl" ;; esac
      ;;
    UNIT)
      case $2 in
        */../* | *' '*) refuse "not a unit" ;;
        /etc/systemd/system/*.service) ;;
        *) is_service_script "$2" || refuse "not a unit" ;;
      esac
      ;;
    BACKUP_URL) case $2 in *' '*) refuse "not an https URL" ;; https://?*) ;; *) refuse "not an https URL" ;; esac ;;
    WINDOWS | DEPLOYMENTS | LABELS | TAINTS | AGENTS | WASM | PREFLIGHT) case " $2" in *' -'*) refuse "$1 has an option" ;; esac ;;
    *) refuse "unknown setting" ;;
  esac
  assign "$1" "$2"
}

# Whether $1 is one word of the list $2.
is_listed() {
  case $1 in '' | *' '*) return 1 ;; esac
  case " $2 " in *" $1 "*) ;; *) return 1 ;; esac
}

is_service_script() {
  case $1 in /etc/init.d/*) is_listed "${1#/etc/init.d/}" "$ALL_SERVICES" ;; *) return 1 ;; esac
}

assign() {
  case $1 in
    DEVICE) DEVICE=$2 ;;
    REGION) REGION=$2 ;;
    HASH) HASH=$2 ;;
    VERSION) VERSION=$2 ;;
    DISTRIBUTION) DISTRIBUTION=$2 ;;
    INIT) INIT=$2 ;;
    ENGINE) ENGINE=$2 ;;
    WINDOWS) WINDOWS=$2 ;;
    ARCH) ARCH=$2 ;;
    MEMORY_MIB) MEMORY_MIB=$2 ;;
    SERVICE) SERVICE=$2 ;;
    UNIT) UNIT=$2 ;;
    KUBECTL) KUBECTL=$2 ;;
    DEPLOYMENTS) DEPLOYMENTS=$2 ;;
    LABELS) LABELS=$2 ;;
    TAINTS) TAINTS=$2 ;;
    AGENTS) AGENTS=$2 ;;
    WASM) WASM=$2 ;;
    PREFLIGHT) PREFLIGHT=$2 ;;
    REPLACE) REPLACE=$2 ;;
    LIMIT_KIB) LIMIT_KIB=$2 ;;
    NEED_KIB) NEED_KIB=$2 ;;
    READY_SECONDS) READY_SECONDS=$2 ;;
    ROLLBACK_SECONDS) ROLLBACK_SECONDS=$2 ;;
    BACKUP_HOURS) BACKUP_HOURS=$2 ;;
    BACKUP_KEEP) BACKUP_KEEP=$2 ;;
    BACKUP_URL) BACKUP_URL=$2 ;;
  esac
}

# The settings of a payload as a payload without files.
settings_of() {
  sed -n -e '/^file /q' -e '/^artifact /q' -e '/^end$/q' -e p "$1"
  echo end
}

# The settings of the last committed run.
known_settings() { [ -s "$SETTINGS" ] && payload "$SETTINGS"; }

# Distribution of the last committed run.
known_distribution() { sed -n 's/^set DISTRIBUTION \([a-z0-9]*\)$/\1/p' "$SETTINGS" 2>/dev/null || :; }
