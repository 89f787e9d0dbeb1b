package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	"sigs.k8s.io/yaml"
)

// keys are the settings that the stand-in takes; those of `ignored` it takes and does nothing with. Every other one ends
// it, as a word that is no flag ends K3s.
var (
	keys = []string{
		"node-name", "node-ip", "node-label", "node-taint", "write-kubeconfig-mode", "disable", "cluster-cidr",
		"service-cidr", "tls-san", "secrets-encryption", "secrets-encryption-provider", "kube-apiserver-arg",
		"kube-controller-manager-arg",
	}
	ignored = []string{
		"flannel-backend", "flannel-iface", "protect-kernel-defaults", "kubelet-arg", "resolv-conf", "agent-token-file",
	}
)

// config is the merged configuration: scalars as lists of one.
type config map[string][]string

// readConfig merges `config.yaml` and the files of `config.yaml.d` in the order of their names; the last one to name a
// key wins, and a key that ends in + adds to it (https://docs.k3s.io/installation/configuration#multiple-config-files).
func readConfig(folder string) (config, error) {
	files := []string{filepath.Join(folder, "config.yaml")}
	more, err := filepath.Glob(filepath.Join(folder, "config.yaml.d", "*.yaml"))
	if err != nil {
		return nil, err
	}
	sort.Strings(more)
	merged := config{}
	for _, file := range append(files, more...) {
		if err := merged.add(file); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
	}
	return merged, nil
}

func (c config) add(file string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var values map[string]any
	if err := yaml.UnmarshalStrict(data, &values); err != nil {
		return err
	}
	for name, value := range values {
		key := strings.TrimSuffix(name, "+")
		if !slices.Contains(keys, key) && !slices.Contains(ignored, key) {
			return fmt.Errorf("flag provided but not defined: -%s", key)
		}
		var list []string
		if several, ok := value.([]any); ok {
			for _, one := range several {
				list = append(list, fmt.Sprint(one))
			}
		} else {
			list = []string{fmt.Sprint(value)}
		}
		if key != name {
			list = append(c[key], list...)
		}
		c[key] = list
	}
	return nil
}

// one is the last value of a setting, or what it is without one.
func (c config) one(key, otherwise string) string {
	if values := c[key]; len(values) > 0 {
		return values[len(values)-1]
	}
	return otherwise
}

// with replaces flags by those of a setting, as K3s does: a flag that is named loses its default.
func (c config) with(defaults map[string]string, setting string) ([]string, error) {
	var flags []string
	named := map[string]bool{}
	for _, argument := range c[setting] {
		name, _, found := strings.Cut(argument, "=")
		if !found || strings.HasSuffix(name, "+") || strings.HasSuffix(name, "-") {
			return nil, fmt.Errorf("%s: the stand-in does not take %s", setting, argument)
		}
		named[name] = true
		flags = append(flags, "--"+argument)
	}
	for name, value := range defaults {
		if !named[name] {
			flags = append(flags, "--"+name+"="+value)
		}
	}
	return flags, nil
}
