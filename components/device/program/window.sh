# Maintenance windows where Flux pulls: outside of them its root is suspended, so that no other commit comes, and all that the
# device runs heals on (kustomize-controller reconciles each Kustomization for itself). Argo CD knows windows by itself.
# shellcheck shell=sh disable=SC2034,SC2154,SC2317
ROOT_KUSTOMIZATION=kustomizations.kustomize.toolkit.fluxcd.io/edge-root
BOOT_SECONDS=600

# Has the timer do it: at a boot before the engine is up, so as soon as the API is.
window() {
  require_root
  write_log
  known_settings || exit 0
  until keep_to_windows || [ "$(tick)" -gt "$BOOT_SECONDS" ]; do sleep "$POLL"; done
}

# The distribution changes in the root what the file of the root has, or had: not whether it is suspended. A root that has
# never been applied whole goes on, since a device is installed at any time.
keep_to_windows() {
  [ "$ENGINE" = flux ] || return 0
  root=$(in_flux get "$ROOT_KUSTOMIZATION" -o 'jsonpath={.spec.suspend} {.status.lastAppliedRevision}' 2>/dev/null) || return 1
  suspend=true
  if [ -z "${root#* }" ] || is_open; then suspend=false; fi
  case ${root%% *} in "$suspend") return 0 ;; '') [ "$suspend" = true ] || return 0 ;; esac
  in_flux patch "$ROOT_KUSTOMIZATION" --type=merge -p "{\"spec\":{\"suspend\":$suspend}}" || return 1
  echo "$(date -u +%FT%TZ) window: suspend $suspend"
}

# Whether a word of WINDOWS, <days>@<HHMM>-<HHMM> in the time zone of the settings, has this moment.
is_open() {
  [ -n "$WINDOWS" ] || return 0
  preflight_settings
  if ! has_zone || ! clock_is_set; then return 1; fi
  moment=$(export TZ="$ZONE" && date '+%a %H%M')
  for span in $WINDOWS; do
    case ,${span%@*}, in *",${moment% *},"*) ;; *) continue ;; esac
    span=${span#*@}
    [ "${moment#* }" -lt "${span%-*}" ] || [ "${moment#* }" -ge "${span#*-}" ] || return 0
  done
  return 1
}

# Nothing else would tell 02:30 at the last power cut from 02:30: by a clock that ran without power, or one that was set since.
# https://www.kernel.org/doc/Documentation/ABI/testing/sysfs-class-rtc, adjtimex(2): a clock that nobody has set is TIME_ERROR
clock_is_set() {
  [ "$(now)" -ge "$CLOCK_FLOOR" ] || return 1
  slurp "$SYS/class/rtc/rtc0/hctosys"
  if [ "$LINE" = 1 ]; then return 0; fi
  if on_openrc; then
    adjtimex 2>/dev/null | grep -q 'return value: [0-4] '
  else
    [ "$(timedatectl show -p NTPSynchronized --value 2>/dev/null)" = yes ]
  fi
}
