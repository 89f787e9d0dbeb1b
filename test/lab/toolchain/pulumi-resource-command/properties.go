package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/plugin"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
)

// inputNames are the inputs of command:remote:Command 1.2.1.
var inputNames = []resource.PropertyKey{
	"addPreviousOutputInEnv", "connection", "create", "delete", "environment", "logging", "stdin", "triggers", "update",
}

// hostNames are the fields of a proxy; a connection has `proxy` besides.
var hostNames = []resource.PropertyKey{
	"agentSocketPath", "dialErrorLimit", "host", "hostKey", "password", "perDialTimeout", "port", "privateKey",
	"privateKeyPassword", "user",
}

// hostDefaults are the documented defaults of a connection and of a proxy.
var hostDefaults = resource.PropertyMap{
	"user":           resource.NewProperty("root"),
	"port":           resource.NewProperty(22.0),
	"dialErrorLimit": resource.NewProperty(10.0),
	"perDialTimeout": resource.NewProperty(15.0),
}

// output is what a command printed, without the final newline.
type output struct {
	stdout, stderr string
}

// checkInputs returns the inputs with defaults filled in and the connection marked secret. A failure names the field,
// never its value.
func checkInputs(inputs resource.PropertyMap) (resource.PropertyMap, []*pulumirpc.CheckFailure) {
	checked := maps.Clone(inputs)
	failures := unknownFields("", inputs, inputNames)
	connection := unwrap(inputs["connection"])
	switch {
	case connection.IsComputed() || connection.IsOutput():
	case !connection.IsObject():
		failures = append(failures, failure("connection", "is missing or is no object"))
	default:
		host, more := checkHost("connection", connection.ObjectValue(), append(hostNames, "proxy"))
		failures = append(failures, more...)
		if proxy := unwrap(host["proxy"]); proxy.IsObject() {
			proxyHost, more := checkHost("connection.proxy", proxy.ObjectValue(), hostNames)
			failures = append(failures, more...)
			host["proxy"] = resource.NewProperty(proxyHost)
		}
		checked["connection"] = resource.MakeSecret(resource.NewProperty(host))
	}
	return checked, failures
}

func checkHost(
	path string, host resource.PropertyMap, known []resource.PropertyKey,
) (resource.PropertyMap, []*pulumirpc.CheckFailure) {
	checked := maps.Clone(hostDefaults)
	maps.Copy(checked, host)
	failures := unknownFields(path+".", host, known)
	if _, ok := host["host"]; !ok {
		failures = append(failures, failure(path+".host", "is missing"))
	}
	return checked, failures
}

func unknownFields(
	prefix string, properties resource.PropertyMap, known []resource.PropertyKey,
) []*pulumirpc.CheckFailure {
	var failures []*pulumirpc.CheckFailure
	for _, key := range properties.StableKeys() {
		if !slices.Contains(known, key) && !strings.HasPrefix(string(key), "__") {
			failures = append(failures, failure(prefix+string(key), "is not a field of "+commandType))
		}
	}
	return failures
}

func failure(path, reason string) *pulumirpc.CheckFailure {
	return &pulumirpc.CheckFailure{Property: path, Reason: fmt.Sprintf("%s %s", path, reason)}
}

// diffInputs compares plain values (without secret marks): the value alone decides whether a command runs again.
func diffInputs(old, news resource.PropertyMap) *pulumirpc.DiffResponse {
	detailed := plugin.NewDetailedDiffFromObjectDiff(old.Diff(news), true)
	response := &pulumirpc.DiffResponse{
		Changes:         pulumirpc.DiffResponse_DIFF_NONE,
		HasDetailedDiff: true,
		DetailedDiff:    map[string]*pulumirpc.PropertyDiff{},
	}
	for path, difference := range detailed {
		response.Changes = pulumirpc.DiffResponse_DIFF_SOME
		kind := difference.Kind
		top, _, _ := strings.Cut(strings.ReplaceAll(path, "[", "."), ".")
		if top == "triggers" {
			kind = kind.AsReplace()
			response.Replaces = append(response.Replaces, path)
		}
		response.Diffs = append(response.Diffs, top)
		response.DetailedDiff[path] = &pulumirpc.PropertyDiff{
			Kind: pulumirpc.PropertyDiff_Kind(kind), InputDiff: difference.InputDiff,
		}
	}
	slices.Sort(response.Replaces)
	slices.Sort(response.Diffs)
	response.Diffs = slices.Compact(response.Diffs)
	return response
}

// outputsOf is the state of the resource: all inputs, and what the command printed. Output of a secret command is secret.
func outputsOf(inputs resource.PropertyMap, result output, unknown bool) resource.PropertyMap {
	state := maps.Clone(inputs)
	state["stdout"], state["stderr"] = resource.NewProperty(result.stdout), resource.NewProperty(result.stderr)
	for _, key := range []resource.PropertyKey{"stdout", "stderr"} {
		if unknown {
			state[key] = resource.MakeComputed(resource.NewProperty(""))
		}
		if inputs["create"].ContainsSecrets() || inputs["update"].ContainsSecrets() {
			state[key] = resource.MakeSecret(state[key])
		}
	}
	return state
}

func outputIn(state resource.PropertyMap) output {
	return output{stdout: text(state["stdout"]), stderr: text(state["stderr"])}
}

func changed(state, inputs resource.PropertyMap, key resource.PropertyKey) bool {
	return unwrap(inputs[key]).IsComputed() || text(state[key]) != text(inputs[key])
}

func unwrap(value resource.PropertyValue) resource.PropertyValue {
	for value.IsSecret() {
		value = value.SecretValue().Element
	}
	return value
}

func text(value resource.PropertyValue) string {
	if value = unwrap(value); value.IsString() {
		return value.StringValue()
	}
	return ""
}
