package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	apiserverapi "k8s.io/apiserver/pkg/apis/apiserver"
	apiserverinstall "k8s.io/apiserver/pkg/apis/apiserver/install"
	"k8s.io/apiserver/pkg/apis/audit"
	auditinstall "k8s.io/apiserver/pkg/apis/audit/install"
	auditvalidation "k8s.io/apiserver/pkg/apis/audit/validation"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	cliflag "k8s.io/component-base/cli/flag"
	"k8s.io/kubernetes/pkg/apis/node"
	nodeinstall "k8s.io/kubernetes/pkg/apis/node/install"
	nodevalidation "k8s.io/kubernetes/pkg/apis/node/validation"
	kubeletconfig "k8s.io/kubernetes/pkg/kubelet/apis/config"
	kubeletscheme "k8s.io/kubernetes/pkg/kubelet/apis/config/scheme"
	kubeletvalidation "k8s.io/kubernetes/pkg/kubelet/apis/config/validation"
	eventratelimit "k8s.io/kubernetes/plugin/pkg/admission/eventratelimit/apis/eventratelimit"
	eventratelimitinstall "k8s.io/kubernetes/plugin/pkg/admission/eventratelimit/apis/eventratelimit/install"
	eventratelimitvalidation "k8s.io/kubernetes/plugin/pkg/admission/eventratelimit/apis/eventratelimit/validation"
	podsecurity "k8s.io/pod-security-admission/admission/api"
	podsecurityscheme "k8s.io/pod-security-admission/admission/api/scheme"
	podsecurityvalidation "k8s.io/pod-security-admission/admission/api/validation"
)

// decode reads data into the internal type T and refuses unknown and duplicate fields.
func decode[T runtime.Object](data []byte, install ...func(*runtime.Scheme)) (T, error) {
	scheme := runtime.NewScheme()
	for _, add := range install {
		add(scheme)
	}
	return decodeWith[T](data, serializer.NewCodecFactory(scheme, serializer.EnableStrict))
}

func decodeWith[T runtime.Object](data []byte, codecs serializer.CodecFactory) (T, error) {
	var none T
	object, err := runtime.Decode(codecs.UniversalDecoder(), data)
	if err != nil {
		return none, err
	}
	typed, ok := object.(T)
	if !ok {
		return none, fmt.Errorf("is a %T", object)
	}
	return typed, nil
}

func checkKubelet(data []byte) error {
	_, codecs, err := kubeletscheme.NewSchemeAndCodecs(serializer.EnableStrict)
	if err != nil {
		return err
	}
	config, err := decodeWith[*kubeletconfig.KubeletConfiguration](data, *codecs)
	if err != nil {
		return err
	}
	if _, err := cliflag.TLSCipherSuites(config.TLSCipherSuites); err != nil {
		return err
	}
	if _, err := cliflag.TLSVersion(config.TLSMinVersion); err != nil {
		return err
	}
	// This one asks for the cgroups of the machine that it runs on, which is not the device.
	config.FailCgroupV1 = false
	return kubeletvalidation.ValidateKubeletConfiguration(config, utilfeature.DefaultFeatureGate)
}

func checkAdmission(data []byte) error {
	config, err := decode[*apiserverapi.AdmissionConfiguration](data, apiserverinstall.Install)
	if err != nil {
		return err
	}
	for _, plugin := range config.Plugins {
		if plugin.Configuration == nil {
			return fmt.Errorf("plugin %s has no configuration", plugin.Name)
		}
		if err := checkPlugin(plugin.Name, plugin.Configuration.Raw); err != nil {
			return fmt.Errorf("plugin %s: %w", plugin.Name, err)
		}
	}
	return nil
}

func checkPlugin(name string, data []byte) error {
	switch name {
	case "PodSecurity":
		codecs := serializer.NewCodecFactory(podsecurityscheme.Scheme, serializer.EnableStrict)
		config, err := decodeWith[*podsecurity.PodSecurityConfiguration](data, codecs)
		if err != nil {
			return err
		}
		return podsecurityvalidation.ValidatePodSecurityConfiguration(config).ToAggregate()
	case "EventRateLimit":
		config, err := decode[*eventratelimit.Configuration](data, eventratelimitinstall.Install)
		if err != nil {
			return err
		}
		return eventratelimitvalidation.ValidateConfiguration(config).ToAggregate()
	}
	return errors.New("nothing here reads it")
}

func checkAudit(data []byte) error {
	policy, err := decode[*audit.Policy](data, auditinstall.Install)
	if err != nil {
		return err
	}
	return auditvalidation.ValidatePolicy(policy).ToAggregate()
}

func checkRuntimeClass(data []byte) error {
	class, err := decode[*node.RuntimeClass](data, nodeinstall.Install)
	if err != nil {
		return err
	}
	return nodevalidation.ValidateRuntimeClass(class).ToAggregate()
}

// split cuts a YAML stream into its documents.
func split(data []byte) ([][]byte, error) {
	reader := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(data)))
	var documents [][]byte
	for {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return documents, nil
		}
		if err != nil {
			return nil, err
		}
		documents = append(documents, document)
	}
}
