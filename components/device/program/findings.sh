# What stands against a run: the checks of the machine, and what the device itself knows of its past.
# shellcheck shell=sh disable=SC2034,SC2154,SC2317

# Every finding of a device, one a line: id, severity and text, with tabs between.
all_findings() {
  findings
  clock_finding
  damage_finding
  version_finding
  fixed_findings
  foreign_findings
  engine_findings
}

# A cluster that is first started by a clock far ahead has certificates that are not valid yet, for good.
# By the year, since mksh counts in 32 bits. https://github.com/k3s-io/k3s/issues/6152
clock_finding() {
  [ "$(date -u +%Y)" -lt "$CLOCK_CEILING" ] || printf 'clock\terror\t%s is far ahead - set the clock\n' "$(date -u +%F)"
}

# https://kubernetes.io/releases/version-skew-policy/
version_finding() {
  have=$("${DISTRIBUTION}_version" | sed -n 's/^v1\.\([0-9]*\)\..*/\1/p')
  want=${VERSION#v1.}
  want=${want%%.*}
  [ -n "$have" ] || return 0
  if [ "$want" -lt "$have" ]; then
    printf 'downgrade\terror\tv1.%s to v1.%s - reset the device\n' "$have" "$want"
  elif [ "$want" -gt $((have + 1)) ]; then
    printf 'minor\terror\tv1.%s to v1.%s skips one - go through v1.%s\n' "$have" "$want" $((have + 1))
  fi
}

foreign_findings() {
  foreign=$(optional "${DISTRIBUTION}_unset_foreign")
  [ -z "$foreign" ] || printf 'foreign\terror\t%s - reinstall the device\n' "$foreign"
  [ "$REPLACE" = 0 ] || return 0
  for other in $(occupants); do
    printf 'distribution\terror\tthe device runs %s, the inventory says %s - set replace: true to erase it with its data\n' "$other" "$DISTRIBUTION"
  done
}

# Distributions on this device other than the wanted one.
occupants() {
  for other in $ALL_DISTRIBUTIONS; do
    [ "$other" != "$DISTRIBUTION" ] || continue
    if [ "$(known_distribution)" = "$other" ] || [ -n "$(optional "${other}_version" 2>/dev/null)" ]; then echo "$other"; fi
  done
}
