# The commands of the device program.
# shellcheck shell=sh disable=SC2034,SC2154,SC2317

usage() {
  echo "usage: edge-fleet-device apply <PAYLOAD | remove DEVICE | maintain | window | recover | status | backups | restore [COPY|- <TAR.GZ] | serve | install" >&2
  exit 2
}

main() {
  case ${1-} in
    apply) apply ;;
    remove) remove "${2-}" ;;
    maintain) maintain ;;
    window) window ;;
    recover) recover ;;
    status) engine_status ;;
    backups) backups ;;
    restore) restore_copy "${2-}" ;;
    restoring)
      case ${2-} in resume) ;; backups/* | received.*/*) is_copy_name "${2#*/}" || usage ;; *) usage ;; esac
      restoring "$2"
      ;;
    serve) serve ;;
    install) install_program ;;
    follow) launch "${2-}" ;;
    run | expire | undo)
      case ${2-} in '' | *[!0-9a-f]*) usage ;; esac
      "$1" "$2"
      ;;
    *) usage ;;
  esac
}

main "$@"
