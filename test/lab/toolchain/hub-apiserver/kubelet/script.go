package kubelet

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/kubernetes/third_party/forked/golang/expansion"
)

// defaultCapabilities are those that containerd leaves a container: pkg/oci/spec.go, defaultUnixCaps.
var defaultCapabilities = []string{
	"chown", "dac_override", "fowner", "fsetid", "kill", "setgid", "setuid", "setpcap", "net_bind_service", "net_raw",
	"sys_chroot", "mknod", "audit_write", "setfcap",
}

// script is how a container's root is made, and what is run in it.
func (r *Runner) script(ctx context.Context, pod *corev1.Pod, container *corev1.Container, image image) (string, error) {
	identity, err := identityOf(pod, container, image)
	if err != nil {
		return "", err
	}
	environment, err := r.environment(ctx, pod, container, image)
	if err != nil {
		return "", err
	}
	words, err := commandOf(container, image, environment)
	if err != nil {
		return "", err
	}
	mounts, err := r.mounts(pod, container)
	if err != nil {
		return "", err
	}
	lines := []string{"image " + quote(image.Root)}
	for _, folder := range image.Folders {
		lines = append(lines, "folder "+folder)
	}
	for _, path := range slices.Sorted(maps.Keys(image.Links)) {
		lines = append(lines, "link "+quote(path)+" "+quote(image.Links[path]))
	}
	passwd := append([]string{"root:x:0:0:root:/root:/bin/sh"}, image.Passwd...)
	lines = append(lines,
		"printf '%s\\n' "+quote(strings.Join(passwd, "\n"))+` >"$ROOT/etc/passwd"`,
		"printf '%s\\n' root:x:0: >\"$ROOT/etc/group\"",
		"printf '%s\\n' "+quote(pod.Name)+` >"$ROOT/etc/hostname"`)
	lines = append(lines, mounts...)
	readOnly := "rw"
	if context := container.SecurityContext; context != nil && context.ReadOnlyRootFilesystem != nil && *context.ReadOnlyRootFilesystem {
		readOnly = "ro"
	}
	directory := image.WorkingDir
	if container.WorkingDir != "" {
		directory = container.WorkingDir
	}
	if directory == "" {
		directory = "/"
	}
	lines = append(lines, `mkdir -p "$ROOT"`+quote(directory), "seal "+readOnly,
		`exec chroot "$ROOT" setpriv `+strings.Join(identity, " ")+` -- env -i -C `+quote(directory)+" "+
			strings.Join(assignments(environment), " ")+" "+strings.Join(quoteAll(words), " "))
	return strings.Join(lines, "\n") + "\n", nil
}

// identityOf is the user, its groups and its capabilities, as arguments of setpriv.
func identityOf(pod *corev1.Pod, container *corev1.Container, image image) ([]string, error) {
	own, shared := container.SecurityContext, pod.Spec.SecurityContext
	if own == nil {
		own = &corev1.SecurityContext{}
	}
	if shared == nil {
		shared = &corev1.PodSecurityContext{}
	}
	user, err := userOf(own, shared, image)
	if err != nil {
		return nil, err
	}
	group := user
	if user == 0 || (own.RunAsUser == nil && shared.RunAsUser == nil) {
		group = user
	}
	for _, asked := range []*int64{shared.RunAsGroup, own.RunAsGroup} {
		if asked != nil {
			group = *asked
		}
	}
	groups := []string{strconv.FormatInt(group, 10)}
	if shared.FSGroup != nil {
		groups = append(groups, strconv.FormatInt(*shared.FSGroup, 10))
	}
	for _, more := range shared.SupplementalGroups {
		groups = append(groups, strconv.FormatInt(more, 10))
	}
	arguments := []string{
		fmt.Sprintf("--reuid=%d", user), fmt.Sprintf("--regid=%d", group), "--groups=" + strings.Join(groups, ","),
	}
	if own.AllowPrivilegeEscalation != nil && !*own.AllowPrivilegeEscalation {
		arguments = append(arguments, "--no-new-privs")
	}
	return append(arguments, capabilities(own)...), nil
}

func userOf(own *corev1.SecurityContext, shared *corev1.PodSecurityContext, image image) (int64, error) {
	user, known := int64(0), true
	if image.User != "" {
		number, err := strconv.ParseInt(image.User, 10, 64)
		user, known = number, err == nil
	}
	for _, asked := range []*int64{shared.RunAsUser, own.RunAsUser} {
		if asked != nil {
			user, known = *asked, true
		}
	}
	must := shared.RunAsNonRoot != nil && *shared.RunAsNonRoot
	if own.RunAsNonRoot != nil {
		must = *own.RunAsNonRoot
	}
	// The words of pkg/kubelet/kuberuntime/security_context.go, verifyRunAsNonRoot.
	switch {
	case !known && must:
		return 0, fmt.Errorf("container has runAsNonRoot and image has non-numeric user (%s), cannot verify user is non-root", image.User)
	case user == 0 && must:
		return 0, errors.New("container has runAsNonRoot and image will run as root")
	}
	return user, nil
}

func capabilities(own *corev1.SecurityContext) []string {
	if own.Privileged != nil && *own.Privileged {
		return nil
	}
	kept := map[string]bool{}
	for _, name := range defaultCapabilities {
		kept[name] = true
	}
	if own.Capabilities != nil {
		for _, name := range own.Capabilities.Drop {
			if name == "ALL" {
				clear(kept)
			}
			delete(kept, strings.ToLower(string(name)))
		}
		for _, name := range own.Capabilities.Add {
			kept[strings.ToLower(string(name))] = true
		}
	}
	set := "-all"
	for _, name := range slices.Sorted(maps.Keys(kept)) {
		set += ",+" + name
	}
	return []string{"--bounding-set=" + set, "--inh-caps=-all"}
}

// commandOf is the command of the pod or the image, with the variables in it replaced as by the kubelet.
func commandOf(container *corev1.Container, image image, environment map[string]string) ([]string, error) {
	mapping := expansion.MappingFuncFor(environment)
	expand := func(words []string) []string {
		var expanded []string
		for _, word := range words {
			expanded = append(expanded, expansion.Expand(word, mapping))
		}
		return expanded
	}
	words := expand(container.Command)
	arguments := expand(container.Args)
	if len(words) == 0 {
		words = image.Entrypoint
		if len(arguments) == 0 {
			arguments = image.Cmd
		}
	}
	words = append(slices.Clone(words), arguments...)
	if len(words) == 0 {
		return nil, errors.New("no command specified")
	}
	return words, nil
}

// mounts are the places of a container that are not its image's.
func (r *Runner) mounts(pod *corev1.Pod, container *corev1.Container) ([]string, error) {
	lines := []string{"place " + quote(filepath.Join(podFolder, string(pod.UID), "etc-hosts")) + " /etc/hosts rw"}
	slices.SortStableFunc(container.VolumeMounts, func(a, b corev1.VolumeMount) int {
		return strings.Count(a.MountPath, "/") - strings.Count(b.MountPath, "/")
	})
	for _, mount := range container.VolumeMounts {
		source, err := r.source(pod, mount)
		if err != nil {
			return nil, err
		}
		mode := "rw"
		if mount.ReadOnly || readOnlyVolume(pod, mount.Name) {
			mode = "ro"
		}
		lines = append(lines, fmt.Sprintf("place %s %s %s", quote(source), quote(filepath.Clean(mount.MountPath)), mode))
	}
	return lines, nil
}

func assignments(environment map[string]string) []string {
	var words []string
	for _, name := range slices.Sorted(maps.Keys(environment)) {
		words = append(words, quote(name+"="+environment[name]))
	}
	return words
}

func quoteAll(words []string) []string {
	quoted := make([]string, len(words))
	for i, word := range words {
		quoted[i] = quote(word)
	}
	return quoted
}
