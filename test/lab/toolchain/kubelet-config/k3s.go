package main

import (
	"fmt"
	"io"

	"github.com/rancher/wharfie/pkg/registries"
	"github.com/spf13/pflag"
	yamlv2 "gopkg.in/yaml.v2"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app/options"
	kcmapp "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	kcm "k8s.io/kubernetes/cmd/kube-controller-manager/app/options"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app/options"
	"sigs.k8s.io/yaml"
)

// config is the part of K3s' config.yaml that it hands to the components as it is: an unknown flag or a value that is
// not of the flag's type ends K3s at its start.
type config struct {
	APIServer         []string `json:"kube-apiserver-arg"`
	ControllerManager []string `json:"kube-controller-manager-arg"`
	Kubelet           []string `json:"kubelet-arg"`
}

func checkArguments(data []byte) error {
	var arguments config
	if err := yaml.Unmarshal(data, &arguments); err != nil {
		return err
	}
	for _, component := range []struct {
		name      string
		flags     func(*pflag.FlagSet) error
		arguments []string
	}{
		{"kube-apiserver", apiserverFlags, arguments.APIServer},
		{"kube-controller-manager", controllerManagerFlags, arguments.ControllerManager},
		{"kubelet", kubeletFlags, arguments.Kubelet},
	} {
		set := pflag.NewFlagSet(component.name, pflag.ContinueOnError)
		set.SetOutput(io.Discard)
		if err := component.flags(set); err != nil {
			return err
		}
		if err := parse(set, component.arguments); err != nil {
			return fmt.Errorf("%s: %w", component.name, err)
		}
	}
	return nil
}

func parse(set *pflag.FlagSet, arguments []string) error {
	flags := make([]string, 0, len(arguments))
	for _, argument := range arguments {
		flags = append(flags, "--"+argument)
	}
	return set.Parse(flags)
}

func apiserverFlags(set *pflag.FlagSet) error {
	for _, named := range apiserver.NewServerRunOptions().Flags().FlagSets {
		set.AddFlagSet(named)
	}
	return nil
}

func controllerManagerFlags(set *pflag.FlagSet) error {
	options, err := kcm.NewKubeControllerManagerOptions()
	if err != nil {
		return err
	}
	sets := options.Flags(kcmapp.KnownControllers(), kcmapp.ControllersDisabledByDefault(), kcmapp.ControllerAliases())
	for _, named := range sets.FlagSets {
		set.AddFlagSet(named)
	}
	return nil
}

func kubeletFlags(set *pflag.FlagSet) error {
	server, err := kubelet.NewKubeletServer()
	if err != nil {
		return err
	}
	server.AddFlags(set)
	return nil
}

// checkRegistries reads registries.yaml with the types that K3s reads it with.
func checkRegistries(data []byte) error {
	var registry registries.Registry
	if err := yamlv2.UnmarshalStrict(data, &registry); err != nil {
		return err
	}
	for host, config := range registry.Configs {
		if config.Auth == nil || config.Auth.Username == "" || config.Auth.Password == "" {
			return fmt.Errorf("configs.%s has no complete credentials", host)
		}
	}
	return nil
}
