// Command kubelet-config reads files as their consumers do: every argument is one file that a distribution puts on a
// device, decoded strictly and validated by the code of Kubernetes itself. It ends with 1 when one of them is refused.
//
// What a file is follows from its own kind; `config.yaml` and `registries.yaml` of K3s have none and go by their names.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"sigs.k8s.io/yaml"
)

// checks read one file's bytes; each returns what is wrong with it.
var checks = map[string]func([]byte) error{
	"kubelet.config.k8s.io/v1beta1 KubeletConfiguration": checkKubelet,
	"apiserver.config.k8s.io/v1 AdmissionConfiguration":  checkAdmission,
	"audit.k8s.io/v1 Policy":                             checkAudit,
	"node.k8s.io/v1 RuntimeClass":                        checkRuntimeClass,
	"config.yaml":                                        checkArguments,
	"registries.yaml":                                    checkRegistries,
}

func main() {
	failed := false
	for _, file := range os.Args[1:] {
		if err := checkFile(file); err != nil {
			failed = true
			fmt.Fprintf(os.Stderr, "%s: %v\n", file, err)
		}
	}
	if failed || len(os.Args) < 2 {
		os.Exit(1)
	}
}

func checkFile(file string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	documents, err := split(data)
	if err != nil {
		return err
	}
	for _, document := range documents {
		name, err := kindOf(file, document)
		if err != nil {
			return err
		}
		if err := checks[name](document); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		fmt.Printf("%s: %s\n", file, name)
	}
	return nil
}

// kindOf names the check of a document; a kind that nothing here reads is an error, so that no file passes unread.
func kindOf(file string, document []byte) (string, error) {
	var meta struct{ APIVersion, Kind string }
	if err := yaml.Unmarshal(document, &meta); err != nil {
		return "", err
	}
	name := filepath.Base(file)
	if meta.Kind != "" {
		name = meta.APIVersion + " " + meta.Kind
	}
	if _, known := checks[name]; !known {
		return "", fmt.Errorf("nothing here reads %q", name)
	}
	return name, nil
}
